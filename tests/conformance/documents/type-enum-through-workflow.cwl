cwlVersion: v1.2
class: Workflow
inputs:
  one: {type: ['null', {type: enum, symbols: [red, green]}]}
  many: {type: {type: array, items: {type: enum, symbols: [red, green]}}}
outputs:
  line: {type: File, outputSource: echo/line}
steps:
  echo:
    in: {one: one, many: many}
    out: [line]
    run:
      class: CommandLineTool
      baseCommand: echo
      inputs:
        one:
          type: ['null', {type: enum, symbols: [red, green]}]
          inputBinding: {position: 1}
        many:
          type: {type: array, items: {type: enum, symbols: [red, green]}}
          inputBinding: {position: 2}
      stdout: line.txt
      outputs:
        line: stdout
