cwlVersion: v1.1
class: CommandLineTool
baseCommand: [echo, '{"small": 0.1, "large": 1e100}']
inputs: []
stdout: cwl.output.json
outputs:
  small: float
  large: double
