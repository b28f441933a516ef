cwlVersion: v1.0
class: CommandLineTool
requirements:
  InlineJavascriptRequirement: {}
hints:
  DockerRequirement:
    dockerPull: debian:trixie-slim
baseCommand: [wc, -w]
inputs:
  text:
    type: File
stdin: $(inputs.text.path)
stdout: count.txt
outputs:
  words:
    type: int
    outputBinding:
      glob: count.txt
      loadContents: true
      outputEval: $(parseInt(self[0].contents, 10))
