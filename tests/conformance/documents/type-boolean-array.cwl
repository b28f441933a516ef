cwlVersion: v1.0
class: Workflow
requirements:
  InlineJavascriptRequirement: {}
inputs:
  values: 'boolean[]'
outputs:
  same: {type: 'boolean[]', outputSource: values}
  count: {type: int, outputSource: filter/count}
steps:
  filter:
    in: {values: values}
    out: [count]
    run:
      class: ExpressionTool
      inputs:
        values: 'boolean[]'
      outputs:
        count: int
      expression: '$({"count": inputs.values.filter(function (value) { return value === true; }).length})'
