cwlVersion: v1.0
class: Workflow
inputs: []
outputs:
  files: {type: 'File[]', outputSource: make/files}
steps:
  make:
    in: {}
    out: [files]
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, 'for f in "$@"; do echo "$f" > "$f"; done', make, a b.txt, 'c#d.txt', 'e:f.txt', g%20h.txt]
      inputs: []
      outputs:
        files: {type: 'File[]', outputBinding: {glob: '*.txt'}}
