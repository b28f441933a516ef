cwlVersion: v1.0
class: Workflow
label: Count the words of several texts in parallel, then report the totals

requirements:
  ScatterFeatureRequirement: {}
  InlineJavascriptRequirement: {}
  StepInputExpressionRequirement: {}

inputs:
  texts:
    type: File[]
  title:
    type: string
    default: words

steps:
  count:
    run: count.cwl
    scatter: text
    in:
      text: texts
    out: [words]
  report:
    run: report.cwl
    in:
      texts: texts
      counts: count/words
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
