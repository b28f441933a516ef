cwlVersion: v1.2
class: Workflow
requirements:
  MultipleInputFeatureRequirement: {}
inputs:
  text: string
outputs:
  said: {type: string, outputSource: join/said}
steps:
  join:
    run: join-lines.cwl
    in:
      texts: {source: [text], linkMerge: merge_nested}
    out: [said]
