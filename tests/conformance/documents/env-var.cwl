cwlVersion: v1.0
class: CommandLineTool
requirements:
  EnvVarRequirement:
    envDef: {GREETING: $(inputs.text), OTHER: fixed}
baseCommand: [sh, -c, 'echo "$GREETING, $OTHER"']
inputs:
  text: string
stdout: out.txt
outputs:
  out: stdout
