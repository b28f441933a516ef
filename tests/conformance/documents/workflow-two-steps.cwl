cwlVersion: v1.0
class: Workflow
inputs:
  file: File
outputs:
  result: {type: File, outputSource: upper/upper}
steps:
  upper:
    run: upper-v1.0.cwl
    in: {file: sort/sorted}
    out: [upper]
  sort:
    run: sort-v1.0.cwl
    in: {file: file}
    out: [sorted]
