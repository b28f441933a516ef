cwlVersion: v1.0
class: Workflow
inputs: []
outputs:
  file: {type: File, outputSource: make/file}
steps:
  make:
    in: {}
    out: [file]
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, 'echo main > main.txt; echo index > main.txt.idx; echo names > main.dict']
      inputs: []
      outputs:
        file:
          type: File
          secondaryFiles: [.idx, ^.dict]
          outputBinding: {glob: main.txt}
