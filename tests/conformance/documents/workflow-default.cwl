cwlVersion: v1.0
class: Workflow
inputs:
  text: {type: string, default: from the default}
outputs:
  said: {type: string, outputSource: say/said}
steps:
  say:
    run: say-v1.0.cwl
    in: {text: text}
    out: [said]
