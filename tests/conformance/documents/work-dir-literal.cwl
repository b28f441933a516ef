cwlVersion: v1.0
class: CommandLineTool
requirements:
  InitialWorkDirRequirement:
    listing:
      - entryname: settings.txt
        entry: |
          text is $(inputs.text)
baseCommand: [cat, settings.txt]
inputs:
  text: string
stdout: out.txt
outputs:
  out: stdout
