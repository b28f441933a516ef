cwlVersion: v1.0
class: CommandLineTool
baseCommand: [echo, -n]
arguments: [$(inputs.file.contents)]
inputs:
  file:
    type: File
    inputBinding: {position: 9, loadContents: true, valueFrom: $(null)}
stdout: out.txt
outputs:
  out: stdout
