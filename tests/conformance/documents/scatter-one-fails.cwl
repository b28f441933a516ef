cwlVersion: v1.2
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
inputs:
  codes: 'int[]'
outputs:
  files: {type: 'File[]', outputSource: exit/file}
steps:
  exit:
    scatter: code
    in: {code: codes}
    out: [file]
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, 'echo "$0"; exit "$0"']
      inputs:
        code: {type: int, inputBinding: {position: 1}}
      stdout: code.txt
      outputs:
        file: stdout
