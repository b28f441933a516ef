cwlVersion: v1.2
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
  SubworkflowFeatureRequirement: {}
inputs:
  texts: 'string[]'
outputs:
  said: {type: 'string[]', outputSource: inner/said}
steps:
  inner:
    run: graph.cwl#other
    scatter: text
    in: {text: texts}
    out: [said]
