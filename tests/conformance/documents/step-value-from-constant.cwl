cwlVersion: v1.2
class: Workflow
requirements:
  StepInputExpressionRequirement: {}
inputs: []
outputs:
  said: {type: string, outputSource: say/said}
steps:
  say:
    run: say.cwl
    in:
      text: {valueFrom: a constant}
    out: [said]
