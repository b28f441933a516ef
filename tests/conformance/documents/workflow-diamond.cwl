cwlVersion: v1.0
class: Workflow
inputs:
  text: string
outputs:
  joined: {type: string, outputSource: meet/joined}
steps:
  start:
    run: say-v1.0.cwl
    in: {text: text}
    out: [said]
  one:
    run: say-v1.0.cwl
    in: {text: start/said}
    out: [said]
  two:
    run: say-v1.0.cwl
    in: {text: start/said}
    out: [said]
  meet:
    run: join-v1.0.cwl
    in: {left: one/said, right: two/said}
    out: [joined]
