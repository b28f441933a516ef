cwlVersion: v1.2
class: Workflow
requirements:
  SubworkflowFeatureRequirement: {}
inputs: []
outputs: []
steps:
  inner:
    in: {}
    out: []
    run:
      class: Workflow
      inputs: []
      outputs: []
      steps:
        fail:
          run: fail.cwl
          in: {}
          out: []
