cwlVersion: v1.0
class: Workflow
requirements:
  SubworkflowFeatureRequirement: {}
inputs:
  text: string
outputs:
  said: {type: string, outputSource: inner/said}
steps:
  inner:
    run: subfolder/inner.cwl
    in: {text: text}
    out: [said]
