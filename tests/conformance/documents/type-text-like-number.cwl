cwlVersion: v1.2
class: Workflow
inputs:
  values: 'string[]'
outputs:
  same: {type: 'string[]', outputSource: values}
steps: []
