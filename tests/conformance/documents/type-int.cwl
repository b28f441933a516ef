cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs:
  value: {type: int, inputBinding: {position: 1}}
outputs: []
