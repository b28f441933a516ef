cwlVersion: v1.1
class: CommandLineTool
baseCommand: [wc, -l]
inputs:
  file: stdin
stdout: count.txt
outputs:
  count: stdout
