cwlVersion: v1.2
class: CommandLineTool
doc: Gives its text back as a string.
baseCommand: [echo, -n]
inputs:
  text: {type: string, inputBinding: {position: 1}}
stdout: said.txt
outputs:
  said:
    type: string
    outputBinding: {glob: said.txt, loadContents: true, outputEval: '$(self[0].contents)'}
