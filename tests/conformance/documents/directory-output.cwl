cwlVersion: v1.0
class: CommandLineTool
baseCommand: [sh, -c, 'mkdir -p made/below; echo "$0" > made/top.txt; cp made/top.txt made/below/bottom.txt']
inputs:
  text: {type: string, inputBinding: {position: 1}}
outputs:
  made: {type: Directory, outputBinding: {glob: made}}
