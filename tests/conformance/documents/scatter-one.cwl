cwlVersion: v1.0
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
inputs:
  texts: 'string[]'
outputs:
  said: {type: 'string[]', outputSource: say/said}
steps:
  say:
    run: say-v1.0.cwl
    scatter: text
    in: {text: texts}
    out: [said]
