cwlVersion: v1.2
class: CommandLineTool
doc: Joins two texts with a hyphen.
baseCommand: [sh, -c, 'echo -n "$1-$2"', join]
inputs:
  left: {type: string, inputBinding: {position: 1}}
  right: {type: string, inputBinding: {position: 2}}
stdout: joined.txt
outputs:
  joined:
    type: string
    outputBinding: {glob: joined.txt, loadContents: true, outputEval: '$(self[0].contents)'}
