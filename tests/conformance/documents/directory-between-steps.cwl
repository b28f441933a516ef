cwlVersion: v1.2
class: Workflow
inputs:
  tree: Directory
outputs:
  copy: {type: Directory, outputSource: copy_tree/copy}
  twig: {type: File, outputSource: read_twig/twig}
steps:
  copy_tree:
    in: {tree: tree}
    out: [copy]
    run:
      class: CommandLineTool
      baseCommand: [cp, -rL]
      arguments: [{position: 2, valueFrom: copy}]
      inputs:
        tree: {type: Directory, inputBinding: {position: 1}}
      outputs:
        copy: {type: Directory, outputBinding: {glob: copy}}
  read_twig:
    in: {tree: copy_tree/copy}
    out: [twig]
    run:
      class: CommandLineTool
      baseCommand: cat
      arguments: [$(inputs.tree.path)/branch/twig.txt]
      inputs:
        tree: Directory
      stdout: twig.copy
      outputs:
        twig: stdout
