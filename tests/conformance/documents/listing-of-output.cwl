cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, mkdir made; touch made/only.txt]
inputs: []
outputs:
  file:
    type: File
    outputBinding: {glob: made, loadListing: shallow_listing, outputEval: '$(self[0].listing[0])'}
