cwlVersion: v1.0
class: Workflow
requirements:
  SubworkflowFeatureRequirement: {}
inputs:
  text: string
outputs:
  said: {type: string, outputSource: second/said}
steps:
  first:
    run: subfolder/inner.cwl
    in: {text: text}
    out: [said]
  second:
    run: subfolder/inner.cwl
    in: {text: first/said}
    out: [said]
