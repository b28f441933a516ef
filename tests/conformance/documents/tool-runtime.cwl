cwlVersion: v1.1
class: CommandLineTool
baseCommand: [sh, -c]
arguments:
  - |
    touch here.txt
    test -e "$0/here.txt" && echo -n "the same, "
    touch "$1/scratch.txt" && echo -n writable
  - $(runtime.outdir)
  - $(runtime.tmpdir)
inputs: []
stdout: said.txt
outputs:
  said:
    type: string
    outputBinding: {glob: said.txt, loadContents: true, outputEval: '$(self[0].contents)'}
