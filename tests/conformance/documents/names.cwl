cwlVersion: v1.0
class: Workflow
inputs:
  in-put.1: string
outputs:
  out-put.2: {type: string, outputSource: first-step.v1/said.as-is}
steps:
  first-step.v1:
    in: {the-text.1: in-put.1}
    out: [said.as-is]
    run:
      class: CommandLineTool
      baseCommand: [echo, -n]
      arguments: ['$(inputs["the-text.1"])']
      inputs:
        the-text.1: string
      stdout: said.txt
      outputs:
        said.as-is:
          type: string
          outputBinding: {glob: said.txt, loadContents: true, outputEval: '$(self[0].contents)'}
