cwlVersion: v1.0
class: CommandLineTool
baseCommand: echo
inputs:
  pair:
    type:
      type: record
      name: pair
      fields:
        - {name: size, type: int, inputBinding: {position: 2, prefix: --size}}
        - {name: name, type: string, inputBinding: {position: 1, prefix: --name}}
        - {name: extra, type: 'string?', inputBinding: {position: 3, prefix: --extra}}
    inputBinding: {position: 1}
stdout: line.txt
outputs:
  line: stdout
