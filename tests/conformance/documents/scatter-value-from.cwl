cwlVersion: v1.2
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
  StepInputExpressionRequirement: {}
inputs:
  lefts: 'string[]'
  rights: 'string[]'
outputs:
  joined: {type: 'string[]', outputSource: join/joined}
steps:
  join:
    run: join.cwl
    scatter: [left, right]
    scatterMethod: dotproduct
    in:
      left: {source: lefts, valueFrom: <$(self)>}
      right: {source: rights, valueFrom: $(self) of $(inputs.left)}
    out: [joined]
