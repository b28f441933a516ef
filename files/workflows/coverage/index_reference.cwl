cwlVersion: v1.0
class: CommandLineTool
hints:
  DockerRequirement:
    dockerPull: biocontainers/bwa:v0.7.17_cv1
requirements:
  InitialWorkDirRequirement:
    listing: [$(inputs.reference)]
baseCommand: [bwa, index]
inputs:
  reference:
    type: File
    inputBinding:
      valueFrom: $(self.basename)
outputs:
  indexed:
    type: File
    secondaryFiles: [.amb, .ann, .bwt, .pac, .sa]
    outputBinding:
      glob: $(inputs.reference.basename)
