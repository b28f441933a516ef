cwlVersion: v1.2
class: Workflow
inputs: []
outputs:
  said: {type: string, outputSource: say/said}
steps:
  say:
    in: {}
    out: [said]
    run:
      class: CommandLineTool
      baseCommand: [echo, -n]
      inputs:
        text: {type: string, default: from the tool, inputBinding: {position: 1}}
      stdout: said.txt
      outputs:
        said:
          type: string
          outputBinding: {glob: said.txt, loadContents: true, outputEval: '$(self[0].contents)'}
