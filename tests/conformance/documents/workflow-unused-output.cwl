cwlVersion: v1.1
class: Workflow
inputs:
  text: string
outputs: []
steps:
  say:
    run: say-v1.1.cwl
    in: {text: text}
    out: [said]
