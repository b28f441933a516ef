cwlVersion: v1.2
class: CommandLineTool
requirements:
  DockerRequirement: {dockerPull: "docker.io/library/debian:trixie-slim"}
baseCommand: [sh, -c, '. /etc/os-release; echo "$ID $VERSION_ID $0"']
inputs:
  text: {type: string, inputBinding: {position: 1}}
stdout: out.txt
outputs:
  out: stdout
