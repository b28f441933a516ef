cwlVersion: v1.2
class: ExpressionTool
requirements:
  InlineJavascriptRequirement: {}
inputs: []
outputs:
  nothing: 'null'
  gaps: {type: {type: array, items: ['null', string]}}
expression: '$({"nothing": null, "gaps": ["a", null, "b"]})'
