cwlVersion: v1.2
class: ExpressionTool
requirements:
  InlineJavascriptRequirement: {}
inputs:
  text: string
outputs:
  number: int
expression: '$({"number": inputs.text})'
