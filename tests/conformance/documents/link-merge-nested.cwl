cwlVersion: v1.0
class: Workflow
requirements:
  MultipleInputFeatureRequirement: {}
  InlineJavascriptRequirement: {}
inputs:
  one: 'string[]'
  two: 'string[]'
outputs:
  all:
    type: {type: array, items: {type: array, items: string}}
    outputSource: copy/merged
steps:
  copy:
    in:
      value: {source: [one, two], linkMerge: merge_nested}
    out: [merged]
    run:
      class: ExpressionTool
      inputs:
        value: {type: {type: array, items: {type: array, items: string}}}
      outputs:
        merged: {type: {type: array, items: {type: array, items: string}}}
      expression: '$({"merged": inputs.value})'
