cwlVersion: v1.2
class: CommandLineTool
requirements:
  InitialWorkDirRequirement:
    listing: [{entryname: grown, entry: $(inputs.tree), writable: true}]
baseCommand: [touch, grown/new.txt]
inputs:
  tree: Directory
outputs:
  changed: {type: Directory, outputBinding: {glob: grown}}
