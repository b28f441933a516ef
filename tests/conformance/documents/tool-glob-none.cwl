cwlVersion: v1.1
class: CommandLineTool
baseCommand: 'true'
inputs: []
outputs:
  files: {type: 'File[]', outputBinding: {glob: '*.txt'}}
  file: {type: 'File?', outputBinding: {glob: none.txt}}
