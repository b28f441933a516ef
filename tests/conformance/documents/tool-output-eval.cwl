cwlVersion: v1.0
class: CommandLineTool
requirements:
  InlineJavascriptRequirement: {}
baseCommand: [wc, -l]
inputs:
  file: File
stdin: $(inputs.file.path)
stdout: count.txt
outputs:
  lines:
    type: int
    outputBinding: {glob: count.txt, loadContents: true, outputEval: '$(parseInt(self[0].contents))'}
