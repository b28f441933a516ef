cwlVersion: v1.2
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
  MultipleInputFeatureRequirement: {}
inputs:
  one: 'string[]'
  text: string
  two: 'string[]'
outputs:
  said: {type: 'string[]', outputSource: say/said}
steps:
  say:
    run: say.cwl
    scatter: text
    in:
      text: {source: [one, text, two], linkMerge: merge_flattened}
    out: [said]
