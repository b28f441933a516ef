cwlVersion: v1.2
class: CommandLineTool
requirements:
  ResourceRequirement: {ramMin: $(inputs.ram), ramMax: $(inputs.ram)}
baseCommand: echo
arguments: [$(runtime.ram)]
inputs:
  ram: int
stdout: out.txt
outputs:
  out: stdout
