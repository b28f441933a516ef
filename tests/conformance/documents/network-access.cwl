cwlVersion: v1.1
class: Workflow
requirements:
  NetworkAccess: {networkAccess: true}
inputs:
  text: string
outputs:
  said: {type: string, outputSource: say/said}
steps:
  say:
    run: say-v1.1.cwl
    in: {text: text}
    out: [said]
