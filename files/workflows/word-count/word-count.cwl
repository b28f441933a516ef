cwlVersion: v1.0
class: Workflow
label: Count the words of several texts, then report the totals

requirements:
  InlineJavascriptRequirement: {}
  StepInputExpressionRequirement: {}
  SubworkflowFeatureRequirement: {}

inputs:
  texts:
    type: File[]
  title:
    type: string
    default: words

steps:
  count:
    run: count-all.cwl
    in:
      texts: texts
    out: [counts]
  report:
    run: report.cwl
    in:
      texts: texts
      counts: count/counts
      title:
        source: title
        valueFrom: $(self.toUpperCase())
    out: [report, total]

outputs:
  report:
    type: File
    outputSource: report/report
  total:
    type: int
    outputSource: report/total
