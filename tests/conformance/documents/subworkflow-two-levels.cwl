cwlVersion: v1.2
class: Workflow
requirements:
  SubworkflowFeatureRequirement: {}
inputs:
  text: string
outputs:
  joined: {type: string, outputSource: middle/joined}
steps:
  outer:
    run: join.cwl
    in:
      left: text
      right: {default: outer}
    out: [joined]
  middle:
    in: {text: outer/joined}
    out: [joined]
    run:
      class: Workflow
      inputs:
        text: string
      outputs:
        joined: {type: string, outputSource: inner/joined}
      steps:
        middle:
          run: join.cwl
          in:
            left: text
            right: {default: middle}
          out: [joined]
        inner:
          in: {text: middle/joined}
          out: [joined]
          run:
            class: Workflow
            inputs:
              text: string
            outputs:
              joined: {type: string, outputSource: innermost/joined}
            steps:
              innermost:
                run: join.cwl
                in:
                  left: text
                  right: {default: inner}
                out: [joined]
