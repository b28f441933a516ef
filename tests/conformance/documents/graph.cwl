cwlVersion: v1.2
$graph:
  - id: speak
    class: CommandLineTool
    baseCommand: [echo, -n]
    inputs:
      text: {type: string, inputBinding: {position: 1}}
    stdout: said.txt
    outputs:
      said:
        type: string
        outputBinding: {glob: said.txt, loadContents: true, outputEval: '$(self[0].contents)'}
  - id: other
    class: Workflow
    inputs:
      text: string
    outputs:
      said: {type: string, outputSource: speak_once/said}
    steps:
      speak_once:
        run: '#speak'
        in: {text: text}
        out: [said]
  - id: main
    class: Workflow
    inputs:
      left: string
      right: string
    outputs:
      joined: {type: string, outputSource: join/joined}
    steps:
      speak_left:
        run: '#speak'
        in: {text: left}
        out: [said]
      join:
        run: join.cwl
        in: {left: speak_left/said, right: right}
        out: [joined]
