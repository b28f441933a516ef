cwlVersion: v1.2
class: Workflow
inputs:
  text: string
  go: Any
outputs:
  said: {type: 'string?', outputSource: say/said}
steps:
  say:
    run: say.cwl
    when: $(inputs.go)
    in: {text: text, go: go}
    out: [said]
