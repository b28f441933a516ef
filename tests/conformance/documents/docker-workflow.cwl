cwlVersion: v1.0
class: Workflow
requirements:
  DockerRequirement: {dockerPull: "debian:trixie-slim"}
  ScatterFeatureRequirement: {}
inputs:
  texts: 'string[]'
outputs:
  file: {type: File, outputSource: gather/file}
steps:
  make:
    scatter: text
    in: {text: texts}
    out: [file]
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, '. /etc/os-release; echo "$ID $0"']
      inputs:
        text: {type: string, inputBinding: {position: 1}}
      stdout: made.txt
      outputs:
        file: stdout
  gather:
    in: {files: make/file}
    out: [file]
    run:
      class: CommandLineTool
      baseCommand: cat
      inputs:
        files: {type: 'File[]', inputBinding: {position: 1}}
      stdout: gathered.txt
      outputs:
        file: stdout
