cwlVersion: v1.2
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
inputs:
  lefts: 'string[]'
  rights: 'string[]'
outputs:
  joined: {type: 'string[]', outputSource: join/joined}
steps:
  join:
    run: join.cwl
    scatter: [left, right]
    scatterMethod: flat_crossproduct
    in: {left: lefts, right: rights}
    out: [joined]
