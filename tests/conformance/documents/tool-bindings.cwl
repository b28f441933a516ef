cwlVersion: v1.0
class: CommandLineTool
baseCommand: echo
arguments:
  - {valueFrom: last, position: 9}
inputs:
  each:
    type:
      type: array
      items: string
      inputBinding: {prefix: --each}
    inputBinding: {position: 4}
  names: {type: 'string[]', inputBinding: {position: 3, prefix: --names, itemSeparator: ','}}
  size: {type: int, inputBinding: {position: 2, prefix: --size=, separate: false}}
  flag: {type: boolean, inputBinding: {position: 1, prefix: -f}}
  off: {type: boolean, inputBinding: {position: 1, prefix: -o}}
stdout: line.txt
outputs:
  line: stdout
