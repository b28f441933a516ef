cwlVersion: v1.1
class: CommandLineTool
baseCommand: [sh, -c, exit 3]
successCodes: [3]
inputs: []
outputs:
  code: {type: int, outputBinding: {outputEval: $(runtime.exitCode)}}
