cwlVersion: v1.0
class: CommandLineTool
requirements:
  ResourceRequirement: {coresMin: 1, coresMax: 1, ramMin: 256, ramMax: 256}
baseCommand: echo
arguments: [$(runtime.cores), $(runtime.ram)]
inputs: []
stdout: out.txt
outputs:
  out: stdout
