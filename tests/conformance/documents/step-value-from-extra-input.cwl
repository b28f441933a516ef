cwlVersion: v1.2
class: Workflow
requirements:
  StepInputExpressionRequirement: {}
inputs:
  file: File
outputs:
  said: {type: string, outputSource: say/said}
steps:
  say:
    run: say.cwl
    in:
      file: file
      text: {valueFrom: $(inputs.file.basename)}
    out: [said]
