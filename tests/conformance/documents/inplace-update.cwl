cwlVersion: v1.2
class: Workflow
doc: Adds a file to a folder where it lies, so that the folder of the step before has it as well.
inputs: []
outputs:
  before: {type: "File[]", outputSource: list/before_files}
  after: {type: "File[]", outputSource: list/after_files}
requirements: {InlineJavascriptRequirement: {}}
steps:
  make:
    in: []
    out: [folder]
    run:
      class: CommandLineTool
      arguments: [mkdir, made]
      inputs: []
      outputs: {folder: {type: Directory, outputBinding: {glob: made}}}
  add:
    in: {before: make/folder}
    out: [after]
    run:
      class: CommandLineTool
      requirements:
        InplaceUpdateRequirement: {inplaceUpdate: true}
        InitialWorkDirRequirement:
          listing: [{entry: $(inputs.before), entryname: same, writable: true}]
      arguments: [sh, -c, "echo added > same/added.txt"]
      inputs: {before: Directory}
      outputs: {after: {type: Directory, outputBinding: {glob: same}}}
  list:
    in: {before: make/folder, after: add/after}
    out: [before_files, after_files]
    run:
      class: ExpressionTool
      inputs:
        before: {type: Directory, loadListing: shallow_listing}
        after: {type: Directory, loadListing: shallow_listing}
      outputs: {before_files: "File[]", after_files: "File[]"}
      expression: "$({before_files: inputs.before.listing, after_files: inputs.after.listing})"
