cwlVersion: v1.2
class: Workflow
$namespaces: {ex: 'https://example.org/formats#'}
inputs:
  file: File
outputs:
  out: {type: File, outputSource: read/out}
steps:
  sort:
    in: {file: file}
    out: [sorted]
    run:
      class: CommandLineTool
      baseCommand: sort
      inputs:
        file: {type: File, inputBinding: {position: 1}}
      stdout: sorted.txt
      outputs:
        sorted: {type: File, format: 'ex:sorted', outputBinding: {glob: sorted.txt}}
  read:
    in: {file: sort/sorted}
    out: [out]
    run:
      class: CommandLineTool
      baseCommand: cat
      inputs:
        file: {type: File, format: 'ex:shuffled', inputBinding: {position: 1}}
      stdout: out.txt
      outputs:
        out: stdout
