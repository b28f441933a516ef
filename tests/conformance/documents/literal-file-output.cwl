cwlVersion: v1.2
class: Workflow
inputs:
  text: string
outputs:
  file: {type: File, outputSource: make/file}
  upper: {type: File, outputSource: enlarge/upper}
steps:
  make:
    in: {text: text}
    out: [file]
    run:
      class: ExpressionTool
      requirements:
        InlineJavascriptRequirement: {}
      inputs:
        text: string
      outputs:
        file: File
      expression: |
        ${
          return {"file": {"class": "File", "basename": "made.txt", "contents": "made of " + inputs.text + "\n"}};
        }
  enlarge:
    run: upper.cwl
    in: {file: make/file}
    out: [upper]
