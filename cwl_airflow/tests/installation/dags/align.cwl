cwlVersion: v1.2
class: CommandLineTool
label: An aligner whose index is missing
inputs: {}
arguments: [sh, -c, 'echo "[E::bwa_idx_load] fail to locate the index files" >&2; exit 1']
outputs: {}
