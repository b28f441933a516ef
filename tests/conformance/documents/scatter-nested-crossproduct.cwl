cwlVersion: v1.0
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
inputs:
  lefts: 'string[]'
  rights: 'string[]'
outputs:
  joined:
    type: {type: array, items: {type: array, items: string}}
    outputSource: join/joined
steps:
  join:
    run: join-v1.0.cwl
    scatter: [left, right]
    scatterMethod: nested_crossproduct
    in: {left: lefts, right: rights}
    out: [joined]
