cwlVersion: v1.1
class: CommandLineTool
requirements:
  DockerRequirement: {dockerPull: "debian:bookworm-slim"}
baseCommand: 'false'
inputs: []
outputs: []
