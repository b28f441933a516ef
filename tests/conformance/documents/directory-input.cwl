cwlVersion: v1.0
class: CommandLineTool
baseCommand: cat
arguments: [$(inputs.tree.path)/leaf.txt, $(inputs.tree.path)/branch/twig.txt]
inputs:
  tree: Directory
stdout: out.txt
outputs:
  out: stdout
