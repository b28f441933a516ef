cwlVersion: v1.0
class: Workflow
inputs:
  values: 'double[]'
outputs:
  same: {type: 'double[]', outputSource: values}
steps: []
