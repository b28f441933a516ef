cwlVersion: v1.2
class: Workflow
inputs: []
outputs: []
steps:
  fail:
    run: fail.cwl
    when: $(inputs.go)
    in:
      go: {default: false}
    out: []
