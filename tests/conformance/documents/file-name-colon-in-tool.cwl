cwlVersion: v1.0
class: CommandLineTool
baseCommand: [sh, -c, 'cat "$0"; echo "$1"']
arguments: [$(inputs.file.path), $(inputs.file.basename)]
inputs:
  file: File
stdout: $(inputs.file.basename).copy
outputs:
  copy: stdout
