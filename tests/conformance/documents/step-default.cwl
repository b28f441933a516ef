cwlVersion: v1.0
class: Workflow
inputs: []
outputs:
  said: {type: string, outputSource: say/said}
steps:
  say:
    run: say-v1.0.cwl
    in:
      text: {default: from the step}
    out: [said]
