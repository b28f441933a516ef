cwlVersion: v1.0
class: Workflow
inputs:
  text: string
outputs:
  said: {type: string, outputSource: good/said}
steps:
  good:
    run: say-v1.0.cwl
    in: {text: text}
    out: [said]
  bad:
    run: fail-v1.0.cwl
    in: []
    out: []
