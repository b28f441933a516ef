cwlVersion: v1.2
class: CommandLineTool
baseCommand: [head, -n, '2']
inputs:
  file: {type: File, streamable: true, inputBinding: {position: 1}}
stdout: first.txt
outputs:
  first: {type: stdout, streamable: true}
