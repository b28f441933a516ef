cwlVersion: v1.0
class: CommandLineTool
baseCommand: [touch, c.txt, a.txt, b.txt, other.dat]
inputs: []
outputs:
  files: {type: 'File[]', outputBinding: {glob: '*.txt'}}
