cwlVersion: v1.0
class: CommandLineTool
hints:
  DockerRequirement:
    dockerPull: biocontainers/samtools:v1.9-4-deb_cv1
requirements:
  InitialWorkDirRequirement:
    listing: [$(inputs.alignments)]
baseCommand: [samtools, index]
inputs:
  alignments:
    type: File
    inputBinding:
      valueFrom: $(self.basename)
outputs:
  indexed:
    type: File
    secondaryFiles: [.bai]
    outputBinding:
      glob: $(inputs.alignments.basename)
