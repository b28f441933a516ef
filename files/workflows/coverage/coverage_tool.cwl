cwlVersion: v1.0
class: CommandLineTool
hints:
  DockerRequirement:
    dockerPull: biocontainers/bedtools:v2.27.1dfsg-4-deb_cv1
baseCommand: [bedtools, genomecov, -bg]
inputs:
  alignments:
    type: File
    inputBinding: {prefix: -ibam}
outputs:
  coverage:
    type: stdout
stdout: coverage.bedgraph
