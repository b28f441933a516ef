cwlVersion: v1.0
class: CommandLineTool
hints:
  DockerRequirement:
    dockerPull: biocontainers/bwa:v0.7.17_cv1
baseCommand: [bwa, mem, -t, "1"]
inputs:
  reference:
    type: File
    secondaryFiles: [.amb, .ann, .bwt, .pac, .sa]
    inputBinding: {position: 1}
  reads:
    type: File
    inputBinding: {position: 2}
outputs:
  alignments:
    type: stdout
stdout: alignments.sam
