cwlVersion: v1.0
class: CommandLineTool
baseCommand: [sh, -c, echo left > left.txt; echo right > right.txt]
inputs: []
outputs:
  pair:
    type:
      type: record
      name: pair
      fields:
        - {name: left, type: File, outputBinding: {glob: left.txt}}
        - {name: right, type: File, outputBinding: {glob: right.txt}}
