cwlVersion: v1.1
$graph:
  - id: ram
    class: CommandLineTool
    baseCommand: [echo, -n]
    arguments: [$(runtime.ram)]
    inputs: []
    stdout: ram.txt
    outputs:
      ram:
        type: string
        outputBinding: {glob: ram.txt, loadContents: true, outputEval: '$(self[0].contents)'}
  - id: main
    class: Workflow
    inputs: []
    outputs:
      one: {type: string, outputSource: step_one/ram}
      two: {type: string, outputSource: step_two/ram}
    steps:
      step_one:
        run: '#ram'
        requirements:
          ResourceRequirement: {ramMin: 128, ramMax: 128}
        in: {}
        out: [ram]
      step_two:
        run: '#ram'
        requirements:
          ResourceRequirement: {ramMin: 192, ramMax: 192}
        in: {}
        out: [ram]
