cwlVersion: v1.0
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
    run: join-v1.0.cwl
    scatter: left
    in:
      left: lefts
      right: {source: rights, valueFrom: '$(self[1])'}
    out: [joined]
