cwlVersion: v1.0
class: ExpressionTool
requirements:
  InlineJavascriptRequirement: {}
inputs:
  texts: File[]
  counts: int[]
  title: string
outputs:
  report: File
  total: int
expression: |
  ${
    var total = 0;
    var lines = inputs.texts.map(function (text, i) {
      total += inputs.counts[i];
      return text.basename + "\t" + inputs.counts[i];
    });
    lines.unshift(inputs.title);
    lines.push("total\t" + total);
    return {
      "report": {"class": "File", "basename": "report.tsv", "contents": lines.join("\n") + "\n"},
      "total": total
    };
  }
