cwlVersion: v1.2
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
inputs:
  texts: 'string[]'
  gos: 'boolean[]'
outputs:
  said: {type: {type: array, items: ['null', string]}, outputSource: say/said}
  kept: {type: 'string[]', outputSource: say/said, pickValue: all_non_null}
steps:
  say:
    run: say.cwl
    scatter: [text, go]
    scatterMethod: dotproduct
    when: $(inputs.go)
    in: {text: texts, go: gos}
    out: [said]
