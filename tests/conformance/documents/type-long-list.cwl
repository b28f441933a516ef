cwlVersion: v1.2
class: Workflow
inputs:
  values: 'long[]'
outputs:
  same: {type: 'long[]', outputSource: values}
  digits: {type: File, outputSource: echo/digits}
steps:
  echo:
    in: {values: values}
    out: [digits]
    run:
      class: CommandLineTool
      baseCommand: echo
      inputs:
        values: {type: 'long[]', inputBinding: {position: 1}}
      stdout: digits.txt
      outputs:
        digits: stdout
