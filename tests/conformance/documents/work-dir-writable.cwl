cwlVersion: v1.0
class: Workflow
inputs:
  file: File
outputs:
  changed: {type: File, outputSource: change/changed}
  after: {type: File, outputSource: read/after}
steps:
  change:
    in: {file: file}
    out: [changed]
    run:
      class: CommandLineTool
      requirements:
        InitialWorkDirRequirement:
          listing: [{entry: $(inputs.file), writable: true}]
      baseCommand: [sh, -c, 'echo more >> "$0"']
      arguments: [$(inputs.file.basename)]
      inputs:
        file: File
      outputs:
        changed: {type: File, outputBinding: {glob: $(inputs.file.basename)}}
  read:
    in: {file: file, changed: change/changed}
    out: [after]
    run:
      class: CommandLineTool
      baseCommand: cat
      inputs:
        file: {type: File, inputBinding: {position: 1}}
        changed: File
      stdout: after.txt
      outputs:
        after: stdout
