cwlVersion: v1.2
class: CommandLineTool
baseCommand: [echo, -n]
arguments: [$(inputs.file.contents)]
inputs:
  file: {type: File, loadContents: true}
stdout: out.txt
outputs:
  out: stdout
