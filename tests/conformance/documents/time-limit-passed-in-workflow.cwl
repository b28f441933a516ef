cwlVersion: v1.1
class: Workflow
inputs:
  limit: int
outputs:
  out: {type: File, outputSource: slow/out}
steps:
  slow:
    in: {limit: limit}
    out: [out]
    run:
      class: CommandLineTool
      requirements:
        ToolTimeLimit: {timelimit: $(inputs.limit)}
      baseCommand: [sh, -c, echo begun; sleep 20; echo done]
      inputs:
        limit: int
      stdout: out.txt
      outputs:
        out: stdout
