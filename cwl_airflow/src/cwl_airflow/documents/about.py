"""What a document says of itself, for those who look at its DAG."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from cwltool.process import Process, shortname
from cwltool.update import ORIGINAL_CWLVERSION
from cwltool.utils import aslist
from cwltool.workflow import Workflow

from .images import with_tag
from .plan import AboutDocument, AboutParameter

#: Characters of a default that are shown.
LONGEST_DEFAULT = 80
#: Under which URIs documents have keywords.
KEYWORDS = ("http://schema.org/keywords", "https://schema.org/keywords")


def describe_document(process: Process) -> AboutDocument:
    """Return what a document says of itself.

    :param process: the document as cwltool reads it.
    """
    tool = process.tool
    schemas, _ = process.get_requirement("SchemaDefRequirement")
    named = {each["name"]: each for each in cast(dict[str, Any], schemas or {}).get("types", [])}
    keywords = [word for uri in KEYWORDS for word in aslist(tool.get(uri) or [])]
    return AboutDocument(
        kind=str(tool["class"]),
        version=str(process.metadata.get(ORIGINAL_CWLVERSION) or process.metadata.get("cwlVersion") or ""),
        label=_text(tool.get("label")),
        doc=_text(tool.get("doc")),
        inputs=tuple(_describe_parameter(parameter, named) for parameter in tool["inputs"]),
        outputs=tuple(_describe_parameter(parameter, named) for parameter in tool["outputs"]),
        images=tuple(sorted(set(_images(process)))),
        keywords=tuple(str(word) for word in keywords),
    )


def _text(value: Any) -> str:
    """Return a text that may be given as its lines."""
    return "\n".join(str(line) for line in aslist(value)) if value else ""


def _describe_parameter(parameter: Mapping[str, Any], named: Mapping[str, Any]) -> AboutParameter:
    default = parameter.get("default")
    shown = "" if default is None else json.dumps(_without_places(default), ensure_ascii=False, default=str)
    return AboutParameter(
        name=shortname(parameter["id"]),
        type=type_text(parameter["type"], named),
        label=_text(parameter.get("label")),
        doc=_text(parameter.get("doc")),
        default=shown if len(shown) <= LONGEST_DEFAULT else f"{shown[:LONGEST_DEFAULT]}…",
        formats=tuple(str(each) for each in aslist(parameter.get("format") or [])),
        secondary=tuple(_pattern(each) for each in aslist(parameter.get("secondaryFiles") or [])),
    )


def _without_places(value: Any) -> Any:
    """Return a default in which files are called by their names."""
    if isinstance(value, Mapping) and value.get("class") in ("File", "Directory"):
        return value.get("basename") or shortname(str(value.get("location") or value.get("path") or "(a literal)"))
    return value


def _pattern(secondary: Any) -> str:
    return str(secondary["pattern"] if isinstance(secondary, Mapping) else secondary)


def type_text(kind: Any, named: Mapping[str, Any]) -> str:
    """Return a type as CWL writes it in short: ``File[]``, ``string?``, ``fast | slow``.

    :param kind: the type, as cwltool has it.
    :param named: the types that the document names.
    """
    if isinstance(kind, list):
        others = [type_text(each, named) for each in kind if each != "null"]
        text = " or ".join(others)
        return f"{f'({text})' if len(others) > 1 else text}?" if "null" in kind else text
    if isinstance(kind, str):
        return type_text(named[kind], named) if kind in named else shortname(kind).rpartition(".")[2]
    if kind["type"] == "array":
        items = type_text(kind["items"], named)
        return f"({items})[]" if " " in items else f"{items}[]"
    if kind["type"] == "enum":
        return " | ".join(shortname(symbol) for symbol in kind["symbols"])
    if kind["type"] == "record":
        fields = [f"{shortname(field['name'])}: {type_text(field['type'], named)}" for field in kind.get("fields", [])]
        return f"record ({', '.join(fields)})"
    return type_text(kind["type"], named)


def _images(process: Process) -> Iterable[str]:
    if isinstance(process, Workflow):
        for step in process.steps:
            yield from _images(step.embedded_tool)
        return
    found, _ = process.get_requirement("DockerRequirement")
    image = (found or {}).get("dockerPull")
    if isinstance(image, str):
        yield with_tag(image)
