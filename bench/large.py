"""Write a document as large as those of laboratories: steps whose tools include many files, and ontologies."""

from __future__ import annotations

import json
from pathlib import Path

NAMESPACES = {name: f"https://{name}.example.org/terms/" for name in ("s", "edam", "sd", "dct", "foaf", "bio")}
LIBRARY = """function name_of_{number}(file) {{
  var parts = file.basename.split(".");
  return parts.slice(0, -1).join(".") + "-{number}";
}}
"""
TOOL = """\
cwlVersion: v1.0
class: CommandLineTool
# Written by bench/large.py
requirements:
  - $import: {included[0]}
  - class: InlineJavascriptRequirement
    expressionLib:
      - $include: {included[1]}
hints:
  - class: ResourceRequirement
    coresMin: 1
inputs:
{inputs}
outputs:
  made:
    type: File
    format: edam:format_2330
    outputBinding:
      glob: $(name_of_{number}(inputs.text))
baseCommand: [sh, -c, 'cat "$0" > "$1"']
arguments:
  - $(inputs.text.path)
  - valueFrom: ${{ return name_of_{number}(inputs.text); }}
$namespaces: {namespaces}
$schemas:
  - {ontology}
s:license: https://spdx.example.org/Apache-2.0
s:creator:
  - class: s:Organization
    s:member: [{{class: s:Person, s:name: Somebody}}]
{more}
doc:
  $include: {included[2]}
"""


def write_large_document(folder: Path, ontology: str, steps: int = 30, files: int = 200) -> Path:
    """Write the document.

    :param folder: where; it is made.
    :param ontology: what all its files name as ``$schemas``.
    :param steps: number of its steps, each with a tool of its own in a file.
    :param files: number of files that tools are and include: at least four for each step.
    :returns: the workflow's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    namespaces = json.dumps(NAMESPACES)
    for number in range(steps):
        count = (files - steps) // steps + (number < (files - steps) % steps)
        included = [f"part-{number}-{part}" for part in range(count)]
        (folder / included[0]).write_text("class: DockerRequirement\ndockerPull: debian:trixie-slim\n")
        (folder / included[1]).write_text(LIBRARY.format(number=number))
        (folder / included[2]).write_text("What it does, in many words.\n" * 20)
        for part in included[3:]:
            (folder / part).write_text("".join(f"- class: s:Thing\n  s:name: thing {n}\n" for n in range(5)))
        more = "\n".join(f"s:part{number}: {{$import: {part}}}" for number, part in enumerate(included[3:]))
        inputs = "".join(
            f"  option{n}:\n    type: int?\n    doc: |\n      An option.\n      It has a meaning.\n"
            f"    inputBinding:\n      prefix: --option{n}\n      position: {n}\n"
            for n in range(20)
        )
        inputs = f"  text:\n    type: File\n{inputs}"
        values = {"included": included, "more": more, "inputs": inputs.rstrip(), "number": number}
        (folder / f"tool-{number}.cwl").write_text(TOOL.format(**values, namespaces=namespaces, ontology=ontology))
    chain = {
        f"step{n:02}": {
            "run": f"tool-{n}.cwl",
            "in": {"text": f"step{n - 1:02}/made" if n else "text", "option1": {"default": n}},
            "out": ["made"],
        }
        for n in range(steps)
    }
    workflow = {
        "cwlVersion": "v1.0",
        "class": "Workflow",
        "inputs": {"text": "File"},
        "outputs": {"made": {"type": "File", "outputSource": f"step{steps - 1:02}/made"}},
        "steps": chain,
        "$namespaces": NAMESPACES,
        "$schemas": [ontology],
    }
    path = folder / "large.cwl"
    path.write_text(json.dumps(workflow, indent=2))
    return path
