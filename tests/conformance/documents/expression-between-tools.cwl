cwlVersion: v1.2
class: Workflow
inputs:
  text: string
outputs:
  said: {type: string, outputSource: last/said}
steps:
  first:
    run: say.cwl
    in: {text: text}
    out: [said]
  shout:
    in: {text: first/said}
    out: [shouted]
    run:
      class: ExpressionTool
      requirements:
        InlineJavascriptRequirement: {}
      inputs:
        text: string
      outputs:
        shouted: string
      expression: '$({"shouted": inputs.text + "!"})'
  last:
    run: say.cwl
    in: {text: shout/shouted}
    out: [said]
