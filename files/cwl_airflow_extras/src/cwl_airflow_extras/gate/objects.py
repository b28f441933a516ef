"""Files and folders in CWL's values: where they are, and what they are called."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from .names import check_name

FILES = ("File", "Directory")


def files(value: Any) -> Iterator[MutableMapping[str, Any]]:
    """Find the files and folders in a value, those in lists, records, listings and beside files as well."""
    waiting, seen = [value], set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, (MutableMapping, MutableSequence)):
            if id(each) in seen:
                continue
            seen.add(id(each))
        if isinstance(each, MutableMapping):
            if each.get("class") in FILES:
                yield each
            waiting += each.values()
        elif isinstance(each, MutableSequence):
            waiting += each


def local_path(value: Mapping[str, Any]) -> str | None:
    """Return the absolute path of a local file or folder; none if it is a literal or elsewhere."""
    location = str(value.get("location") or value.get("path") or "")
    path = unquote(urlsplit(location).path) if location.startswith("file:") else location
    return path if os.path.isabs(path) else None


def is_remote(location: Any) -> bool:
    """Tell whether a location is one of HTTP."""
    return isinstance(location, str) and urlsplit(location).scheme.lower() in ("http", "https")


def check_names(value: Any, of: str) -> None:
    """Refuse files whose names would lead elsewhere, and drop where tools say that files are: cwltool sets it.

    :param value: a value of CWL.
    :param of: what has the value, for the message.
    :raises Refused: a name is none.
    """
    for file in files(value):
        file.pop("dirname", None)
        for key in ("basename", "nameroot", "nameext"):
            # nameroot and nameext follow from basename, and may be empty.
            if file.get(key) and (key == "basename" or not isinstance(file[key], str) or "/" in file[key]):
                check_name(file[key], of)
        for key in ("location", "path", "contents"):
            if not isinstance(file.get(key, ""), (str, type(None))):
                check_name(file[key], f"{of}: {key}")


def is_list(value: Any) -> bool:
    """Tell whether a value is a list, which text is not."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
