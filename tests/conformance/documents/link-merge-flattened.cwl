cwlVersion: v1.2
class: Workflow
requirements:
  MultipleInputFeatureRequirement: {}
inputs:
  one: 'string[]'
  text: string
  two: 'string[]'
outputs:
  said: {type: string, outputSource: join/said}
steps:
  join:
    run: join-lines.cwl
    in:
      texts: {source: [one, text, two], linkMerge: merge_flattened}
    out: [said]
