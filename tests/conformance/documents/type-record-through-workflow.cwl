cwlVersion: v1.2
class: Workflow
requirements:
  StepInputExpressionRequirement: {}
inputs:
  pair: {type: {type: record, name: pair, fields: {name: string, size: int}}}
outputs:
  same:
    type: {type: record, name: same_pair, fields: {name: string, size: int}}
    outputSource: pair
  said: {type: string, outputSource: say/said}
steps:
  say:
    run: say.cwl
    in:
      text: {source: pair, valueFrom: $(self.name)}
    out: [said]
