cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
arguments: ['$(inputs.text) \$(inputs.text)']
inputs:
  text: string
stdout: out.txt
outputs:
  out: stdout
