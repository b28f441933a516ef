cwlVersion: v1.2
class: Workflow
inputs:
  text: string?
outputs:
  line: {type: File, outputSource: echo/line}
  same: {type: 'string?', outputSource: text}
steps:
  echo:
    in: {text: text}
    out: [line]
    run:
      class: CommandLineTool
      baseCommand: [echo, always]
      inputs:
        text: {type: 'string?', inputBinding: {prefix: --text}}
      stdout: line.txt
      outputs:
        line: stdout
