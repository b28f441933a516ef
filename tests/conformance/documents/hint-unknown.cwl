cwlVersion: v1.0
class: CommandLineTool
$namespaces: {ex: 'https://example.org/hints#'}
hints:
  - {class: 'ex:Magic', spell: open}
baseCommand: echo
inputs:
  text: {type: string, inputBinding: {position: 1}}
stdout: out.txt
outputs:
  out: stdout
