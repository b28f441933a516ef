cwlVersion: v1.2
class: ExpressionTool
requirements:
  InlineJavascriptRequirement: {}
inputs:
  file: File
outputs:
  basename: string
  nameroot: string
  nameext: string
  size: int
expression: |
  ${
    return {
      "basename": inputs.file.basename,
      "nameroot": inputs.file.nameroot,
      "nameext": inputs.file.nameext,
      "size": inputs.file.size
    };
  }
