cwlVersion: v1.2
class: CommandLineTool
baseCommand: touch
arguments: [fixed.txt, $(inputs.text).txt]
inputs:
  text: string
outputs:
  files: {type: 'File[]', outputBinding: {glob: [$(inputs.text).txt, fixed.txt]}}
