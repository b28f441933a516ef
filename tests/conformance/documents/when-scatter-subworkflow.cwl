cwlVersion: v1.2
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
  SubworkflowFeatureRequirement: {}
inputs:
  texts: 'string[]'
  gos: 'boolean[]'
outputs:
  said: {type: {type: array, items: ['null', string]}, outputSource: inner/said}
steps:
  inner:
    run: graph.cwl#other
    scatter: [text, go]
    scatterMethod: dotproduct
    when: $(inputs.go)
    in: {text: texts, go: gos}
    out: [said]
