cwlVersion: v1.2
class: Workflow
inputs:
  file:
    type: File
    default: {class: File, location: ../data/words.txt}
outputs:
  upper: {type: File, outputSource: enlarge/upper}
steps:
  enlarge:
    run: upper.cwl
    in: {file: file}
    out: [upper]
