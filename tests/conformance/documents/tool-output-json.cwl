cwlVersion: v1.2
class: CommandLineTool
baseCommand: [echo, '{"number": 4, "text": "four"}']
inputs: []
stdout: cwl.output.json
outputs:
  number: int
  text: string
