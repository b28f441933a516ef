cwlVersion: v1.0
class: CommandLineTool
hints:
  DockerRequirement:
    dockerPull: biocontainers/samtools:v1.9-4-deb_cv1
baseCommand: [samtools, sort, -O, bam, -o, sorted.bam]
inputs:
  alignments:
    type: File
    inputBinding: {position: 1}
outputs:
  sorted:
    type: File
    outputBinding:
      glob: sorted.bam
