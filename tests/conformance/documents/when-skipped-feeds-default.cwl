cwlVersion: v1.2
class: Workflow
inputs:
  text: string
  go: boolean
outputs:
  said: {type: string, outputSource: second/said}
steps:
  first:
    run: say.cwl
    when: $(inputs.go)
    in: {text: text, go: go}
    out: [said]
  second:
    run: say.cwl
    in:
      text: {source: first/said, default: nothing came}
    out: [said]
