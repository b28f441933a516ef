cwlVersion: v1.1
class: CommandLineTool
baseCommand: cat
inputs:
  file: {type: File, secondaryFiles: ['.idx?'], inputBinding: {position: 1}}
stdout: out.txt
outputs:
  out: stdout
