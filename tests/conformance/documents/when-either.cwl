cwlVersion: v1.2
class: Workflow
requirements:
  InlineJavascriptRequirement: {}
  MultipleInputFeatureRequirement: {}
inputs:
  text: string
  go: boolean
outputs:
  said: {type: string, outputSource: [yes_step/joined, no_step/joined], pickValue: the_only_non_null}
steps:
  yes_step:
    run: join.cwl
    when: $(inputs.go)
    in:
      go: go
      left: text
      right: {default: 'yes'}
    out: [joined]
  no_step:
    run: join.cwl
    when: $(!inputs.go)
    in:
      go: go
      left: text
      right: {default: 'no'}
    out: [joined]
