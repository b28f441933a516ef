cwlVersion: v1.1
class: CommandLineTool
requirements:
  InlineJavascriptRequirement:
    expressionLib:
      - var twice = function (text) { return text + " " + text; };
baseCommand: echo
arguments: [$(twice(inputs.text))]
inputs:
  text: string
stdout: line.txt
outputs:
  line: stdout
