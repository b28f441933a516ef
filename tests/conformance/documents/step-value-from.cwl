cwlVersion: v1.0
class: Workflow
requirements:
  StepInputExpressionRequirement: {}
inputs:
  left: string
  right: string
outputs:
  joined: {type: string, outputSource: join/joined}
steps:
  join:
    run: join-v1.0.cwl
    in:
      left: {source: left, valueFrom: <$(self)>}
      right: {source: right, valueFrom: $(self) of $(inputs.left)}
    out: [joined]
