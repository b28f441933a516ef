cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
arguments: [{position: 9, valueFrom: end}]
inputs:
  missing: {type: 'string[]?', inputBinding: {position: 1, prefix: --missing}}
  empty: {type: 'string[]', inputBinding: {position: 2, prefix: --empty}}
stdout: line.txt
outputs:
  line: stdout
