cwlVersion: v1.0
class: CommandLineTool
$namespaces: {ex: 'https://example.org/formats#'}
$schemas: [formats.ttl]
baseCommand: cat
inputs:
  file: {type: File, format: 'ex:text', inputBinding: {position: 1}}
outputs:
  out: stdout
stdout: out.txt
