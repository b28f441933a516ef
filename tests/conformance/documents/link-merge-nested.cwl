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
    outputSource: same/value
steps:
  same:
    in:
      value: {source: [one, two], linkMerge: merge_nested}
    out: [value]
    run:
      class: ExpressionTool
      inputs:
        value: {type: {type: array, items: {type: array, items: string}}}
      outputs:
        value: {type: {type: array, items: {type: array, items: string}}}
      expression: '$({"value": inputs.value})'
