cwlVersion: v1.0
class: Workflow
inputs:
  file: File
outputs:
  same: {type: File, outputSource: file}
steps: []
