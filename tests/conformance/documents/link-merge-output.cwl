cwlVersion: v1.0
class: Workflow
requirements:
  MultipleInputFeatureRequirement: {}
inputs:
  one: 'string[]'
  two: 'string[]'
outputs:
  flat: {type: 'string[]', outputSource: [one, two], linkMerge: merge_flattened}
  nested:
    type: {type: array, items: {type: array, items: string}}
    outputSource: [one, two]
    linkMerge: merge_nested
steps: []
