cwlVersion: v1.0
class: CommandLineTool
doc: Makes the letters of a file large.
baseCommand: [tr, a-z, A-Z]
inputs:
  file: File
stdin: $(inputs.file.path)
stdout: upper.txt
outputs:
  upper: stdout
