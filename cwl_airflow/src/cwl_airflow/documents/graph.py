"""A picture of a document, as Graphviz draws it: what goes into which step, and what comes out.

Source: https://graphviz.org/doc/info/lang.html
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cwltool.process import Process, shortname
from cwltool.workflow import Workflow

from ..strict_json import storable
from .planning import output_id, source_ids

#: Characters of a name that are drawn.
LONGEST_NAME = 40
STYLE = """\
  bgcolor="transparent"; rankdir="TB"; ranksep=0.35; nodesep=0.15;
  node [shape="box", style="filled,rounded", height=0.3, color="#8aa0b8", fillcolor="#e8eef5"];
  node [fontname="DejaVu Sans", fontsize=11];
  edge [color="#8aa0b8", arrowsize=0.6];
"""
INPUT = 'shape="ellipse", fillcolor="#e3f2e1"'
OUTPUT = 'shape="ellipse", fillcolor="#fdf0d5"'
#: A step that is a workflow itself, and one that runs once for each of its inputs.
NESTED, SCATTERED = "peripheries=2", 'style="filled,rounded,dashed"'


def draw_document(process: Process) -> str:
    """Return the picture of a document in Graphviz's language.

    :param process: the document as cwltool reads it.
    """
    tool = process.tool
    numbers = itertools.count()
    lines: list[str] = []

    def node(identifier: str, looks: str = "") -> str:
        name = shortname(identifier)
        made = f"n{next(numbers)}"
        label = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
        lines.append(f"  {made} [label={quote(label)}, tooltip={quote(name)}{f', {looks}' if looks else ''}];")
        return made

    #: The nodes that give values, by the URI of the parameter; an output may be called like an input.
    sources = {each["id"]: node(each["id"], INPUT) for each in tool["inputs"]}
    if not isinstance(process, Workflow):
        itself = node(tool["id"])
        outputs = [node(output["id"], OUTPUT) for output in tool["outputs"]]
        lines += [f"  {each} -> {itself};" for each in sources.values()]
        lines += [f"  {itself} -> {each};" for each in outputs]
        return _graph(lines)
    nested = {step.id for step in process.steps if isinstance(step.embedded_tool, Workflow)}
    steps = []
    for step in tool["steps"]:
        looks = [NESTED if step["id"] in nested else "", SCATTERED if "scatter" in step else ""]
        steps.append(node(step["id"], ", ".join(filter(None, looks))))
        sources.update({output_id(output): steps[-1] for output in step["out"]})
    for number, step in enumerate(tool["steps"]):
        lines += _edges(sources, steps[number], step["in"], "source")
    for output in tool["outputs"]:
        lines += _edges(sources, node(output["id"], OUTPUT), [output], "outputSource")
    return _graph(lines)


def _graph(lines: Iterable[str]) -> str:
    return "\n".join(["digraph {", STYLE, *lines, "}", ""])


def _edges(sources: Mapping[str, str], to: str, parameters: Iterable[Mapping[str, Any]], field: str) -> Iterator[str]:
    wanted = source_ids(parameters, field)
    for node in sorted({sources[source] for source in wanted if source in sources}):
        yield f"  {node} -> {to};"


def quote(text: str) -> str:
    """Return a text in Graphviz's language, where a backslash would begin something that stands for another text."""
    shown = "".join(sign for sign in storable(text) if unicodedata.category(sign) != "Cc")
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
