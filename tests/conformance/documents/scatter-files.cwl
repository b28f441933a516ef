cwlVersion: v1.0
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
inputs:
  files: 'File[]'
outputs:
  uppers: {type: 'File[]', outputSource: upper/upper}
steps:
  upper:
    scatter: file
    in: {file: files}
    out: [upper]
    run:
      class: CommandLineTool
      baseCommand: [tr, a-z, A-Z]
      inputs:
        file: File
      stdin: $(inputs.file.path)
      stdout: $(inputs.file.basename).upper
      outputs:
        upper: stdout
