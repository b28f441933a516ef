cwlVersion: v1.2
class: ExpressionTool
requirements:
  InlineJavascriptRequirement: {}
inputs:
  tree: Directory
outputs:
  listed: boolean
expression: '$({"listed": inputs.tree.listing !== undefined})'
