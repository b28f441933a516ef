cwlVersion: v1.0
class: CommandLineTool
baseCommand: echo
inputs:
  colour:
    type: {type: enum, name: colours, symbols: [red, green]}
    inputBinding: {prefix: --colour=, separate: false}
stdout: line.txt
outputs:
  line: stdout
