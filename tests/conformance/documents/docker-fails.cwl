cwlVersion: v1.1
class: CommandLineTool
requirements:
  DockerRequirement: {dockerPull: "debian:trixie-slim"}
baseCommand: 'false'
inputs: []
outputs: []
