cwlVersion: v1.2
class: Workflow
inputs:
  file: File
outputs:
  same: {type: File, outputSource: file}
  name: {type: string, outputSource: look/name}
  parts: {type: 'string[]', outputSource: look/parts}
steps:
  look:
    in: {file: file}
    out: [name, parts]
    run:
      class: ExpressionTool
      requirements:
        InlineJavascriptRequirement: {}
      inputs:
        file: File
      outputs:
        name: string
        parts: 'string[]'
      expression: '$({"name": inputs.file.basename, "parts": [inputs.file.nameroot, inputs.file.nameext]})'
