cwlVersion: v1.2
class: Workflow
requirements:
  InlineJavascriptRequirement: {}
  StepInputExpressionRequirement: {}
inputs:
  number: int
outputs:
  said: {type: 'string?', outputSource: say/said}
steps:
  say:
    run: say.cwl
    when: $(inputs.number > 3)
    in:
      number: number
      text: {valueFrom: $(String(inputs.number))}
    out: [said]
