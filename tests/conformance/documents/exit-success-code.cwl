cwlVersion: v1.0
class: CommandLineTool
baseCommand: [sh, -c, 'echo done; exit 3']
successCodes: [0, 3]
inputs: []
stdout: out.txt
outputs:
  out: stdout
