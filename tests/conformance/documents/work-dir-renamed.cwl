cwlVersion: v1.0
class: CommandLineTool
requirements:
  InitialWorkDirRequirement:
    listing: [{entryname: renamed.dat, entry: $(inputs.file)}]
baseCommand: [cat, renamed.dat]
inputs:
  file: File
stdout: out.txt
outputs:
  out: stdout
  renamed: {type: File, outputBinding: {glob: renamed.dat}}
