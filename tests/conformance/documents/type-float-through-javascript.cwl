cwlVersion: v1.2
class: Workflow
requirements:
  InlineJavascriptRequirement: {}
inputs:
  values: 'double[]'
outputs:
  same: {type: 'double[]', outputSource: copy/copied}
steps:
  copy:
    in: {values: values}
    out: [copied]
    run:
      class: ExpressionTool
      inputs:
        values: 'double[]'
      outputs:
        copied: 'double[]'
      expression: '$({"copied": inputs.values})'
