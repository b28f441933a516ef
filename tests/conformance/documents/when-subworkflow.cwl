cwlVersion: v1.2
class: Workflow
requirements:
  SubworkflowFeatureRequirement: {}
inputs:
  text: string
  go: boolean
outputs:
  said: {type: 'string?', outputSource: inner/said}
steps:
  inner:
    run: graph.cwl#other
    when: $(inputs.go)
    in: {text: text, go: go}
    out: [said]
