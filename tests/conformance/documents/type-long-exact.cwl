cwlVersion: v1.0
class: Workflow
inputs:
  value: long
outputs:
  same: {type: long, outputSource: value}
  again: {type: long, outputSource: json/again}
  digits: {type: File, outputSource: echo/digits}
steps:
  json:
    in: {value: value}
    out: [again]
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, 'echo "{\"again\": $0}"']
      inputs:
        value: {type: long, inputBinding: {position: 1}}
      stdout: cwl.output.json
      outputs:
        again: long
  echo:
    in: {value: json/again}
    out: [digits]
    run:
      class: CommandLineTool
      baseCommand: echo
      inputs:
        value: {type: long, inputBinding: {position: 1}}
      stdout: digits.txt
      outputs:
        digits: stdout
