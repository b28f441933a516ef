cwlVersion: v1.2
class: Workflow
inputs: []
outputs:
  out: {type: File, outputSource: read/out}
steps:
  make:
    in: {}
    out: [file]
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, 'echo main > main.txt; echo index > main.txt.idx']
      inputs: []
      outputs:
        file:
          type: File
          secondaryFiles: [{pattern: .idx}]
          outputBinding: {glob: main.txt}
  read:
    in: {file: make/file}
    out: [out]
    run:
      class: CommandLineTool
      baseCommand: cat
      arguments: [$(inputs.file.path), $(inputs.file.path).idx]
      inputs:
        file: {type: File, secondaryFiles: [{pattern: .idx}]}
      stdout: out.txt
      outputs:
        out: stdout
