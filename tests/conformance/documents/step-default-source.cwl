cwlVersion: v1.2
class: Workflow
inputs:
  text: string?
outputs:
  said: {type: string, outputSource: say/said}
steps:
  say:
    run: say.cwl
    in:
      text: {source: text, default: from the step}
    out: [said]
