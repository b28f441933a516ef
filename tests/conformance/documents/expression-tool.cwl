cwlVersion: v1.0
class: ExpressionTool
requirements:
  InlineJavascriptRequirement: {}
inputs:
  a: int
  b: int
outputs:
  sum: int
  text: string
expression: |
  ${
    return {"sum": inputs.a + inputs.b, "text": inputs.a + " and " + inputs.b};
  }
