cwlVersion: v1.0
class: CommandLineTool
requirements:
  ShellCommandRequirement: {}
baseCommand: sort
inputs:
  file: {type: File, inputBinding: {position: 1}}
arguments:
  - {position: 2, shellQuote: false, valueFrom: '| head -n 1 > first.txt'}
outputs:
  first: {type: File, outputBinding: {glob: first.txt}}
