"""A picture of a document, as Graphviz draws it: what goes into which step, and what comes out.

Source: https://graphviz.org/doc/info/lang.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cwltool.process import Process, shortname
from cwltool.workflow import Workflow

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
    nodes: dict[str, str] = {}
    lines = [_node(nodes, each["id"], INPUT) for each in tool["inputs"]]
    if isinstance(process, Workflow):
        kinds = {step.id: isinstance(step.embedded_tool, Workflow) for step in process.steps}
        for step in tool["steps"]:
            looks = [NESTED if kinds.get(step["id"]) else "", SCATTERED if "scatter" in step else ""]
            lines.append(_node(nodes, step["id"], ", ".join(filter(None, looks))))
            nodes.update({output_id(output): nodes[step["id"]] for output in step["out"]})
        lines += (edge for step in tool["steps"] for edge in _edges(nodes, step["id"], step["in"], "source"))
    else:
        lines.append(_node(nodes, tool["id"], ""))
        lines += [f"  {nodes[each['id']]} -> {nodes[tool['id']]};" for each in tool["inputs"]]
    for output in tool["outputs"]:
        lines.append(_node(nodes, output["id"], OUTPUT))
        if isinstance(process, Workflow):
            lines += _edges(nodes, output["id"], [output], "outputSource")
        else:
            lines.append(f"  {nodes[tool['id']]} -> {nodes[output['id']]};")
    return "\n".join(["digraph {", STYLE, *lines, "}", ""])


def _node(nodes: dict[str, str], identifier: str, looks: str) -> str:
    """Note the node of a parameter or a step, and return the line that draws it."""
    nodes[identifier] = f"n{len(set(nodes.values()))}"
    name = shortname(identifier)
    label = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    return f"  {nodes[identifier]} [label={quote(label)}, tooltip={quote(name)}{f', {looks}' if looks else ''}];"


def _edges(nodes: Mapping[str, str], to: str, parameters: Iterable[Mapping[str, Any]], field: str) -> Iterator[str]:
    sources = source_ids(parameters, field)
    for node in sorted({nodes[source] for source in sources if source in nodes}):
        yield f"  {node} -> {nodes[to]};"


def quote(text: str) -> str:
    """Return a text in Graphviz's language, where a backslash would begin something that stands for another text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
