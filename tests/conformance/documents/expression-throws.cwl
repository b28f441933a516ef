cwlVersion: v1.0
class: ExpressionTool
requirements:
  InlineJavascriptRequirement: {}
inputs:
  text: string
outputs:
  never: string
expression: '${ throw "not today"; }'
