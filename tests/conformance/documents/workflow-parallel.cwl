cwlVersion: v1.2
class: Workflow
inputs:
  left: string
  right: string
outputs:
  one: {type: string, outputSource: one/said}
  two: {type: string, outputSource: two/said}
steps:
  one:
    run: say.cwl
    in: {text: left}
    out: [said]
  two:
    run: say.cwl
    in: {text: right}
    out: [said]
