cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ex: 'https://example.org/formats#'}
baseCommand: sort
inputs:
  file: {type: File, format: 'ex:words', inputBinding: {position: 1}}
outputs:
  out: {type: File, format: 'ex:sorted', outputBinding: {glob: sorted.txt}}
stdout: sorted.txt
