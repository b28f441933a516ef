cwlVersion: v1.2
class: CommandLineTool
requirements:
  DockerRequirement: {dockerPull: "debian:trixie-slim"}
  InitialWorkDirRequirement:
    listing:
      - entryname: written.txt
        entry: |
          written
baseCommand: [sh, -c, 'mkdir made; sort "$0" | cat - written.txt "$1/leaf.txt" "$1/branch/twig.txt" > made/all.txt']
inputs:
  file: {type: File, inputBinding: {position: 1}}
  tree: {type: Directory, inputBinding: {position: 2}}
outputs:
  made: {type: Directory, outputBinding: {glob: made}}
