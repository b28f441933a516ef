cwlVersion: v1.1
class: CommandLineTool
requirements:
  ToolTimeLimit: {timelimit: 300}
baseCommand: [echo, done]
inputs: []
stdout: out.txt
outputs:
  out: stdout
