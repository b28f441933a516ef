cwlVersion: v1.2
class: Workflow
inputs:
  left: string
  right: string
outputs:
  one: {type: string, outputSource: say_one/said}
  two: {type: string, outputSource: say_two/said}
steps:
  say_one:
    run: say.cwl
    in: {text: left}
    out: [said]
  say_two:
    run: say.cwl
    in: {text: right}
    out: [said]
