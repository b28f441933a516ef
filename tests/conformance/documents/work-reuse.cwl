cwlVersion: v1.2
class: CommandLineTool
requirements:
  WorkReuse: {enableReuse: false}
baseCommand: echo
inputs:
  text: {type: string, inputBinding: {position: 1}}
stdout: out.txt
outputs:
  out: stdout
