cwlVersion: v1.2
class: CommandLineTool
doc: Gives a list of texts back as one string.
baseCommand: [echo, -n]
inputs:
  texts: {type: 'string[]', inputBinding: {position: 1}}
stdout: said.txt
outputs:
  said:
    type: string
    outputBinding: {glob: said.txt, loadContents: true, outputEval: '$(self[0].contents)'}
