cwlVersion: v1.2
class: CommandLineTool
baseCommand: 'true'
inputs: []
outputs:
  file: {type: File, outputBinding: {glob: none.txt}}
