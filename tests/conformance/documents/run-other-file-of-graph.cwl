cwlVersion: v1.2
class: Workflow
requirements:
  SubworkflowFeatureRequirement: {}
inputs:
  text: string
outputs:
  from_tool: {type: string, outputSource: tool/said}
  from_workflow: {type: string, outputSource: workflow/said}
steps:
  tool:
    run: graph.cwl#speak
    in: {text: text}
    out: [said]
  workflow:
    run: graph.cwl#other
    in: {text: tool/said}
    out: [said]
