cwlVersion: v1.0
class: Workflow
label: Sort the lines of a file, then number them

inputs:
  text:
    type: File

steps:
  sort:
    run: sort.cwl
    in:
      text: text
    out: [sorted]
  number:
    run: number.cwl
    in:
      text: sort/sorted
    out: [numbered]

outputs:
  numbered:
    type: File
    outputSource: number/numbered
