cwlVersion: v1.2
class: ExpressionTool
requirements:
  InlineJavascriptRequirement:
    expressionLib:
      - function letters(text) { return text.split(""); }
      - function reversed(text) { return letters(text).reverse().join(""); }
inputs:
  text: string
outputs:
  reversed: string
expression: '$({"reversed": reversed(inputs.text)})'
