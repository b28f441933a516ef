cwlVersion: v1.2
class: Workflow
requirements:
  ScatterFeatureRequirement: {}
inputs:
  texts: 'string[]'
outputs:
  said: {type: string, outputSource: gather/said}
steps:
  say:
    run: say.cwl
    scatter: text
    in: {text: texts}
    out: [said]
  mark:
    run: join.cwl
    scatter: left
    in:
      left: say/said
      right: {default: '!'}
    out: [joined]
  gather:
    run: join-lines.cwl
    in: {texts: mark/joined}
    out: [said]
