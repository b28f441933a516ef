cwlVersion: v1.2
class: CommandLineTool
requirements:
  EnvVarRequirement:
    envDef: {GREETING: tool requirement}
baseCommand: [sh, -c, 'echo -n "$GREETING"']
inputs: []
stdout: said.txt
outputs:
  said:
    type: string
    outputBinding: {glob: said.txt, loadContents: true, outputEval: '$(self[0].contents)'}
