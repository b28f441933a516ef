cwlVersion: v1.0
class: CommandLineTool
doc: Always fails.
baseCommand: 'false'
inputs: []
outputs: []
