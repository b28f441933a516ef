"""Secondary files beside a file whose name means something in a URL.

cwltool puts their names behind the URL of the file's folder as they are: for ``a%20b.txt`` it would take the index of
``a b.txt``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

from cwltool.builder import substitute
from schema_salad.ref_resolver import file_uri

from ..gate.names import shown_name
from ..gate.objects import FILES, is_list, local_path

#: What to do about one whose secondary files cannot be found.
REMEDY = "name them in the job, or give it a name without %, # and ?"
_OF_URL = re.compile(r"[%#?\x00-\x1f]")


def add_secondary_files(parameter: Mapping[str, Any], value: Any) -> None:
    """Add those that are there to the files of an input, before cwltool looks for them.

    :param parameter: the input as the document has it.
    :param value: of the job; its files get more ``secondaryFiles``.
    :raises ValueError: only an expression knows what they are called, or cwltool would take another file for one.
    """
    of = str(parameter["id"]).rpartition("#")[2]
    for patterns, file in _files_with_patterns(parameter, value):
        path = local_path(file)
        name = str(file.get("basename") or os.path.basename(path or ""))
        if path is None or not patterns or not _OF_URL.search(os.path.basename(path) + name):
            continue
        given = file.setdefault("secondaryFiles", [])
        known = {str(each.get("basename") or _last_name(each)) for each in given}
        for pattern in patterns:
            if "$(" in pattern or "${" in pattern:
                raise ValueError(f"Input '{of}': no expression finds secondaryFiles of {shown_name(name)}; {REMEDY}.")
            other = substitute(name, pattern.removesuffix("?"))
            folder = os.path.dirname(path)
            beside = os.path.join(folder, other)
            if other in known:
                continue
            if os.path.lexists(beside):
                kind = "Directory" if os.path.isdir(beside) else "File"
                given.append({"class": kind, "location": file_uri(beside), "basename": other})
            elif os.path.lexists(os.path.join(folder, unquote(urlsplit(f"file:///{other}").path[1:]))):
                raise ValueError(f"Input '{of}': {shown_name(other)} is not there, and must not be mistaken; {REMEDY}.")


def _files_with_patterns(schema: Any, value: Any) -> Iterator[tuple[list[str], MutableMapping[str, Any]]]:
    """Find the files of a value, each with what its part of the type says of secondary files."""
    if isinstance(value, MutableMapping) and value.get("class") in FILES:
        yield _patterns(schema), value
    elif is_list(value):
        for each in value:
            yield from _files_with_patterns(schema, each)
    elif isinstance(value, Mapping):
        for field in _fields(schema):
            yield from _files_with_patterns(field, value.get(str(field["name"]).rpartition("/")[2].rpartition("#")[2]))


def _patterns(schema: Any) -> list[str]:
    found: Any = schema.get("secondaryFiles") if isinstance(schema, Mapping) else None
    listed = [] if not found else list(found) if is_list(found) else [found]
    return [str(each["pattern"] if isinstance(each, Mapping) else each) for each in listed]


def _fields(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Find the fields of records in a type."""
    if isinstance(schema, Mapping):
        if is_list(schema.get("fields")):
            yield from schema["fields"]
        for name in ("type", "items"):
            yield from _fields(schema.get(name))
    elif is_list(schema):
        for each in schema:
            yield from _fields(each)


def _last_name(file: Mapping[str, Any]) -> str:
    return os.path.basename(unquote(urlsplit(str(file.get("location") or file.get("path") or "")).path))
