cwlVersion: v1.2
class: CommandLineTool
requirements:
  SchemaDefRequirement:
    types:
      - type: record
        name: named_pair
        fields:
          - {name: name, type: string, inputBinding: {position: 1}}
          - {name: size, type: int, inputBinding: {position: 2}}
baseCommand: echo
inputs:
  pair: {type: '#named_pair', inputBinding: {position: 1}}
stdout: line.txt
outputs:
  line: stdout
