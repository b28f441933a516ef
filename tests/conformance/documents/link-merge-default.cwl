cwlVersion: v1.2
class: Workflow
requirements:
  MultipleInputFeatureRequirement: {}
inputs:
  left: string
  right: string
outputs:
  said: {type: string, outputSource: join/said}
steps:
  join:
    run: join-lines.cwl
    in:
      texts: [left, right]
    out: [said]
