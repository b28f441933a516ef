cwlVersion: v1.2
class: Workflow
requirements:
  EnvVarRequirement:
    envDef: {GREETING: workflow requirement}
inputs: []
outputs:
  workflow_on_plain_tool: {type: string, outputSource: one/said}
  step_on_plain_tool: {type: string, outputSource: two/said}
  step_on_tool_hint: {type: string, outputSource: three/said}
  step_on_tool_requirement: {type: string, outputSource: four/said}
  step_hint_on_tool_requirement: {type: string, outputSource: five/said}
steps:
  one:
    run: greeting.cwl
    in: {}
    out: [said]
  two:
    run: greeting.cwl
    requirements:
      EnvVarRequirement:
        envDef: {GREETING: step requirement}
    in: {}
    out: [said]
  three:
    run: greeting-hint.cwl
    requirements:
      EnvVarRequirement:
        envDef: {GREETING: step requirement}
    in: {}
    out: [said]
  four:
    run: greeting-requirement.cwl
    requirements:
      EnvVarRequirement:
        envDef: {GREETING: step requirement}
    in: {}
    out: [said]
  five:
    run: greeting-requirement.cwl
    hints:
      EnvVarRequirement:
        envDef: {GREETING: step hint}
    in: {}
    out: [said]
