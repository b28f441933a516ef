cwlVersion: v1.0
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
  SubworkflowFeatureRequirement: {}
inputs:
  texts: {type: {type: array, items: {type: array, items: string}}}
outputs:
  said:
    type: {type: array, items: {type: array, items: string}}
    outputSource: inner/said
steps:
  inner:
    run: scatter-one.cwl
    scatter: texts
    in: {texts: texts}
    out: [said]
