cwlVersion: v1.0
class: Workflow
inputs:
  text: string
outputs:
  said: {type: string, outputSource: say/said}
steps:
  say:
    run: ../say-v1.0.cwl
    in: {text: text}
    out: [said]
