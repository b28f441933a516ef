cwlVersion: v1.0
$graph:
  - id: plain
    class: CommandLineTool
    baseCommand: [echo, -n]
    arguments: [$(runtime.ram)]
    inputs: []
    stdout: ram.txt
    outputs:
      ram:
        type: string
        outputBinding: {glob: ram.txt, loadContents: true, outputEval: '$(self[0].contents)'}
  - id: hint
    class: CommandLineTool
    hints:
      ResourceRequirement: {ramMin: 100, ramMax: 100}
    baseCommand: [echo, -n]
    arguments: [$(runtime.ram)]
    inputs: []
    stdout: ram.txt
    outputs:
      ram:
        type: string
        outputBinding: {glob: ram.txt, loadContents: true, outputEval: '$(self[0].contents)'}
  - id: requirement
    class: CommandLineTool
    requirements:
      ResourceRequirement: {ramMin: 300, ramMax: 300}
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
    requirements:
      ResourceRequirement: {ramMin: 400, ramMax: 400}
    inputs: []
    outputs:
      workflow_and_plain: {type: string, outputSource: one/ram}
      workflow_and_hint: {type: string, outputSource: two/ram}
      step_and_plain: {type: string, outputSource: three/ram}
      step_and_hint: {type: string, outputSource: four/ram}
      step_and_requirement: {type: string, outputSource: five/ram}
    steps:
      one:
        run: '#plain'
        in: {}
        out: [ram]
      two:
        run: '#hint'
        in: {}
        out: [ram]
      three:
        run: '#plain'
        requirements:
          ResourceRequirement: {ramMin: 200, ramMax: 200}
        in: {}
        out: [ram]
      four:
        run: '#hint'
        requirements:
          ResourceRequirement: {ramMin: 200, ramMax: 200}
        in: {}
        out: [ram]
      five:
        run: '#requirement'
        requirements:
          ResourceRequirement: {ramMin: 200, ramMax: 200}
        in: {}
        out: [ram]
