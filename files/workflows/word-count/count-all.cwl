cwlVersion: v1.0
class: Workflow
label: Count the words of each text
doc: >-
  A workflow of its own because the engine of cwl-airflow 1.2.11 cannot hand a scattered output from one step of a DAG to
  another.

requirements:
  ScatterFeatureRequirement: {}

inputs:
  texts: File[]

steps:
  count:
    run: count.cwl
    scatter: text
    in:
      text: texts
    out: [words]

outputs:
  counts:
    type: int[]
    outputSource: count/words
