cwlVersion: v1.0
class: Workflow
requirements:
  SchemaDefRequirement:
    types:
      - {$import: types.yml}
inputs:
  paint: types.yml#paint
outputs:
  line: {type: File, outputSource: echo/line}
steps:
  echo:
    in: {paint: paint}
    out: [line]
    run:
      class: CommandLineTool
      requirements:
        SchemaDefRequirement:
          types:
            - {$import: types.yml}
      baseCommand: echo
      arguments: [$(inputs.paint.colour), $(inputs.paint.litres)]
      inputs:
        paint: types.yml#paint
      stdout: line.txt
      outputs:
        line: stdout
