cwlVersion: v1.2
class: Workflow
requirements:
  MultipleInputFeatureRequirement: {}
inputs:
  one: string?
  two: string?
  three: string?
outputs:
  picked: {type: 'string[]', outputSource: [one, two, three], pickValue: all_non_null}
  said: {type: string, outputSource: say/said}
steps:
  say:
    run: join-lines.cwl
    in:
      texts: {source: [one, two, three], pickValue: all_non_null}
    out: [said]
