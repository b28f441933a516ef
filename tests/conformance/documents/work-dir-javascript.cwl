cwlVersion: v1.1
class: CommandLineTool
requirements:
  InlineJavascriptRequirement: {}
  InitialWorkDirRequirement:
    listing: |
      ${
        return inputs.texts.map(function (text, i) { return {"entryname": i + ".txt", "entry": text}; });
      }
baseCommand: 'true'
inputs:
  texts: 'string[]'
outputs:
  files: {type: 'File[]', outputBinding: {glob: '*.txt'}}
