cwlVersion: v1.1
class: CommandLineTool
baseCommand: echo
inputs:
  file: {type: File, inputBinding: {position: 1, valueFrom: $(self.nameroot)}}
arguments:
  - {position: 2, valueFrom: $(inputs.file.nameext)}
stdout: line.txt
outputs:
  line: stdout
