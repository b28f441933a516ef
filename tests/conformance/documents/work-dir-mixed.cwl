cwlVersion: v1.2
class: CommandLineTool
requirements:
  InitialWorkDirRequirement:
    listing:
      - $(inputs.files)
      - $(inputs.extra)
      - entryname: written.txt
        entry: |
          written
baseCommand: [cat, written.txt, numbers.txt]
inputs:
  files: 'File[]'
  extra: File?
stdout: out.txt
outputs:
  out: stdout
