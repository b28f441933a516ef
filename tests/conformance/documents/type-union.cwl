cwlVersion: v1.0
class: Workflow
inputs:
  value: [int, string]
outputs:
  same: {type: [int, string], outputSource: value}
  line: {type: File, outputSource: echo/line}
steps:
  echo:
    in: {value: value}
    out: [line]
    run:
      class: CommandLineTool
      baseCommand: echo
      inputs:
        value: {type: [int, string], inputBinding: {position: 1}}
      stdout: line.txt
      outputs:
        line: stdout
