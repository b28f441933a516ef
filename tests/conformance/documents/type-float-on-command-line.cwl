cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs:
  value: {type: float, inputBinding: {position: 1}}
stdout: digits.txt
outputs:
  digits: stdout
