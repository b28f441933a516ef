cwlVersion: v1.0
class: CommandLineTool
baseCommand: cat
arguments: [$(inputs.file.path), $(inputs.file.path).idx]
inputs:
  file: {type: File, secondaryFiles: [.idx]}
stdout: out.txt
outputs:
  out: stdout
