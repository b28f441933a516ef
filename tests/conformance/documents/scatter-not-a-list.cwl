cwlVersion: v1.2
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
inputs:
  texts: Any
outputs:
  said: {type: 'string[]', outputSource: say/said}
steps:
  say:
    run: say.cwl
    scatter: text
    in: {text: texts}
    out: [said]
