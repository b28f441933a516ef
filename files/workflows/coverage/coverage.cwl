cwlVersion: v1.0
class: Workflow
label: Align reads to a reference, sort and index the alignments, compute the coverage

inputs:
  reference:
    type: File
    doc: Reference sequences in FASTA
  reads:
    type: File
    doc: Single-end reads in FASTQ

steps:
  index_reference:
    run: index_reference.cwl
    in:
      reference: reference
    out: [indexed]
  align:
    run: align.cwl
    in:
      reference: index_reference/indexed
      reads: reads
    out: [alignments]
  sort:
    run: sort.cwl
    in:
      alignments: align/alignments
    out: [sorted]
  index_alignments:
    run: index_alignments.cwl
    in:
      alignments: sort/sorted
    out: [indexed]
  coverage:
    run: coverage_tool.cwl
    in:
      alignments: index_alignments/indexed
    out: [coverage]

outputs:
  alignments:
    type: File
    secondaryFiles: [.bai]
    outputSource: index_alignments/indexed
  coverage:
    type: File
    outputSource: coverage/coverage
