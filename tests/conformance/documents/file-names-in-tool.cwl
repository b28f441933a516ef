cwlVersion: v1.2
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
inputs:
  files: File[]
outputs:
  names: {type: 'string[]', outputSource: each/name}
  copies: {type: 'File[]', outputSource: each/copy}
steps:
  each:
    scatter: file
    in: {file: files}
    out: [name, copy]
    run:
      class: CommandLineTool
      requirements:
        InitialWorkDirRequirement: {listing: [$(inputs.file)]}
      baseCommand: cat
      arguments: [$(inputs.file.path), $(inputs.file.basename), '-']
      stdin: $(inputs.file.path)
      inputs: {file: File}
      outputs:
        name: {type: string, outputBinding: {outputEval: $(inputs.file.basename)}}
        copy: stdout
      stdout: copy.txt
