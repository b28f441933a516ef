cwlVersion: v1.0
class: CommandLineTool
hints:
  DockerRequirement:
    dockerPull: docker.io/library/debian:trixie-slim
requirements:
  EnvVarRequirement:
    envDef:
      LC_ALL: C
baseCommand: sort
inputs:
  text:
    type: File
    inputBinding: {}
outputs:
  sorted:
    type: stdout
stdout: sorted.txt
