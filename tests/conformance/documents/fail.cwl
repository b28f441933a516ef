cwlVersion: v1.2
class: CommandLineTool
doc: Always fails.
baseCommand: 'false'
inputs: []
outputs: []
