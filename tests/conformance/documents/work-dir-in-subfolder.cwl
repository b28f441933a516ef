cwlVersion: v1.2
class: CommandLineTool
requirements:
  InitialWorkDirRequirement:
    listing: [{entryname: some/where/renamed.dat, entry: $(inputs.file)}]
baseCommand: [cat, some/where/renamed.dat]
inputs:
  file: File
stdout: out.txt
outputs:
  out: stdout
