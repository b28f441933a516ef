cwlVersion: v1.2
class: Workflow
inputs:
  text: string
outputs:
  same: {type: string, outputSource: text}
  said: {type: string, outputSource: say/said}
steps:
  say:
    run: say.cwl
    in: {text: text}
    out: [said]
