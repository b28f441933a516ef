"""What a document says of itself, for those who look at its DAG."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast
from urllib.parse import unquote

from cwltool.process import Process, shortname
from cwltool.update import ORIGINAL_CWLVERSION
from cwltool.utils import aslist
from cwltool.workflow import Workflow

from ..gate.objects import FILES
from ..strict_json import storable
from .graph import draw_document
from .images import with_tag
from .plan import AboutDocument, AboutParameter

#: Under which URIs documents have keywords.
KEYWORDS = ("http://schema.org/keywords", "https://schema.org/keywords")


def describe_document(process: Process) -> AboutDocument:
    """Return what a document says of itself.

    :param process: the document as cwltool reads it.
    """
    tool = process.tool
    schemas, _ = process.get_requirement("SchemaDefRequirement")
    # Not `schemaDefs`, which has them under names that cwltool makes of these.
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
        keywords=tuple(_text(word) for word in keywords),
        graph=draw_document(process),
    )


def _text(value: Any) -> str:
    """Return a text that may be given as its lines."""
    return storable("\n".join(str(line) for line in aslist(value)) if value else "")


def _describe_parameter(parameter: Mapping[str, Any], named: Mapping[str, Any]) -> AboutParameter:
    return AboutParameter(
        name=shortname(parameter["id"]),
        type=plain_type(parameter["type"], named),
        label=_text(parameter.get("label")),
        doc=_text(parameter.get("doc")),
        default=_without_places(parameter.get("default")),
        formats=tuple(str(each) for each in aslist(parameter.get("format") or [])),
        secondary=tuple(_pattern(each) for each in aslist(parameter.get("secondaryFiles") or [])),
    )


def _without_places(value: Any) -> Any:
    """Return a default in which files are called by their names, as JSON has it."""
    if isinstance(value, list):
        return [_without_places(each) for each in value]
    if isinstance(value, Mapping) and value.get("class") in FILES:
        place = unquote(str(value.get("location") or value.get("path") or "")).rstrip("/")
        return storable(str(value.get("basename") or os.path.basename(place) or "(a literal)"))
    if isinstance(value, Mapping):
        return {str(name): _without_places(each) for name, each in value.items()}
    return storable(value) if isinstance(value, str) else value


def _pattern(secondary: Any) -> str:
    return str(secondary["pattern"] if isinstance(secondary, Mapping) else secondary)


def plain_type(kind: Any, named: Mapping[str, Any], inside: Collection[str] = ()) -> Any:
    """Return a type in values of JSON, in which nothing has to be looked up.

    :param kind: the type, as cwltool has it.
    :param named: the types that the document names.
    :param inside: the names of those that this is a part of: one that is made of itself is called by its name then.
    """
    if isinstance(kind, str):
        if kind in named and kind not in inside:
            return plain_type(named[kind], named, {*inside, kind})
        return shortname(kind).rpartition(".")[2]
    if isinstance(kind, list):
        return [plain_type(each, named, inside) for each in kind]
    if kind["type"] == "array":
        return {"type": "array", "items": plain_type(kind["items"], named, inside)}
    if kind["type"] == "enum":
        return {"type": "enum", "symbols": [shortname(symbol) for symbol in kind["symbols"]]}
    if kind["type"] == "record":
        inside = {*inside, *([kind["name"]] if "name" in kind else [])}
        fields = kind.get("fields", [])
        return {
            "type": "record",
            "fields": {shortname(field["name"]): plain_type(field["type"], named, inside) for field in fields},
        }
    return plain_type(kind["type"], named, inside)


def _images(process: Process) -> Iterable[str]:
    if isinstance(process, Workflow):
        for step in process.steps:
            yield from _images(step.embedded_tool)
        return
    found, _ = process.get_requirement("DockerRequirement")
    image = (found or {}).get("dockerPull")
    if isinstance(image, str):
        yield with_tag(image)
