cwlVersion: v1.2
class: Workflow
inputs:
  file: {type: File, secondaryFiles: [{pattern: ^.idx}]}
outputs:
  out: {type: File, outputSource: cat/out}
steps:
  cat:
    in: {file: file}
    out: [out]
    run:
      class: CommandLineTool
      baseCommand: cat
      arguments: [$(inputs.file.path), $(inputs.file.dirname)/$(inputs.file.nameroot).idx]
      inputs:
        file: {type: File, secondaryFiles: [{pattern: ^.idx}]}
      stdout: out.txt
      outputs:
        out: stdout
