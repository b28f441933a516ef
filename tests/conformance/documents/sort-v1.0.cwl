cwlVersion: v1.0
class: CommandLineTool
doc: Sorts the lines of a file.
baseCommand: sort
inputs:
  file: {type: File, inputBinding: {position: 1}}
stdout: sorted.txt
outputs:
  sorted: stdout
