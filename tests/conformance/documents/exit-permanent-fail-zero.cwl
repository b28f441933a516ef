cwlVersion: v1.2
class: CommandLineTool
baseCommand: 'true'
permanentFailCodes: [0]
inputs: []
outputs: []
