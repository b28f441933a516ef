cwlVersion: v1.0
class: ExpressionTool
requirements:
  InlineJavascriptRequirement: {}
inputs:
  text: string
outputs:
  text: string
expression: '${ throw "not today"; }'
