cwlVersion: v1.0
class: CommandLineTool
baseCommand: [sh, -c, 'echo "out $0"; echo "err $0" >&2']
inputs:
  text: {type: string, inputBinding: {position: 1}}
stdout: out.txt
stderr: err.txt
outputs:
  out: stdout
  err: stderr
