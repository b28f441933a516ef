cwlVersion: v1.0
class: CommandLineTool
requirements:
  DockerRequirement: {dockerPull: "debian:trixie-slim"}
baseCommand: [sh, -c, '. /etc/os-release; echo "$ID $VERSION_ID $0"']
inputs:
  text: {type: string, inputBinding: {position: 1}}
stdout: out.txt
outputs:
  out: stdout
