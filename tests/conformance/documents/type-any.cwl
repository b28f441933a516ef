cwlVersion: v1.0
class: Workflow
inputs:
  value: Any
outputs:
  same: {type: Any, outputSource: value}
steps: []
