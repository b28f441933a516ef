cwlVersion: v1.0
class: CommandLineTool
hints:
  - class: DockerRequirement
    dockerPull: debian:trixie-slim
baseCommand: [nl, -w, "3", -s, " "]
inputs:
  text:
    type: File
    inputBinding: {}
outputs:
  numbered:
    type: stdout
stdout: numbered.txt
