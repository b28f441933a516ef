cwlVersion: v1.2
class: Workflow
inputs:
  records:
    type:
      type: array
      items:
        type: record
        name: outer
        fields:
          name: string
          inner: {type: {type: record, name: inner, fields: {'yes': boolean}}}
outputs:
  same:
    type:
      type: array
      items:
        type: record
        name: same_outer
        fields:
          name: string
          inner: {type: {type: record, name: same_inner, fields: {'yes': boolean}}}
    outputSource: records
  names: {type: 'string[]', outputSource: list/names}
steps:
  list:
    in: {records: records}
    out: [names]
    run:
      class: ExpressionTool
      requirements:
        InlineJavascriptRequirement: {}
      inputs:
        records: Any
      outputs:
        names: 'string[]'
      expression: '$({"names": inputs.records.map(function (record) { return record.name; })})'
