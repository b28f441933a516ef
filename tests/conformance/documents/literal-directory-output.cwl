cwlVersion: v1.0
class: ExpressionTool
requirements:
  InlineJavascriptRequirement: {}
inputs:
  files: 'File[]'
outputs:
  made: Directory
expression: '$({"made": {"class": "Directory", "basename": "made", "listing": inputs.files}})'
