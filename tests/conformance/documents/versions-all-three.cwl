cwlVersion: v1.2
class: Workflow
requirements:
  SubworkflowFeatureRequirement: {}
inputs:
  text: string
outputs:
  said: {type: string, outputSource: newest/said}
steps:
  oldest:
    run: subfolder/inner.cwl
    in: {text: text}
    out: [said]
  middle:
    run: say-v1.1.cwl
    in: {text: oldest/said}
    out: [said]
  newest:
    run: say.cwl
    in: {text: middle/said}
    out: [said]
