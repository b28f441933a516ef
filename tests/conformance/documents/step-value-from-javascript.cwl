cwlVersion: v1.1
class: Workflow
requirements:
  StepInputExpressionRequirement: {}
  InlineJavascriptRequirement: {}
inputs:
  text: string
outputs:
  said: {type: string, outputSource: say/said}
steps:
  say:
    run: say-v1.1.cwl
    in:
      text: {source: text, valueFrom: $(self.toUpperCase() + " of " + self.length)}
    out: [said]
