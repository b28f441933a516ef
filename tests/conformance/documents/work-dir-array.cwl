cwlVersion: v1.0
class: CommandLineTool
requirements:
  InitialWorkDirRequirement:
    listing: $(inputs.files)
baseCommand: [cat, numbers.txt, words.txt]
inputs:
  files: 'File[]'
stdout: out.txt
outputs:
  out: stdout
