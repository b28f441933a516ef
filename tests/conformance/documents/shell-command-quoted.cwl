cwlVersion: v1.2
class: CommandLineTool
requirements:
  ShellCommandRequirement: {}
baseCommand: [echo, -n]
inputs:
  text: {type: string, inputBinding: {position: 1}}
arguments:
  - {position: 2, valueFrom: '|'}
  - {position: 3, valueFrom: 'true', shellQuote: true}
stdout: said.txt
outputs:
  said:
    type: string
    outputBinding: {glob: said.txt, loadContents: true, outputEval: '$(self[0].contents)'}
