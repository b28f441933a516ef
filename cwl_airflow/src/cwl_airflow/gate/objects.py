"""Files and folders in CWL's values: where they are, and what they are called."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from .names import check_name, shown_name
from .refused import Refused

FILES = ("File", "Directory")
#: By these cwltool reads something into a job.
READS = ("$include", "$import", "$mixin")
#: Fields of files and folders, by what they hold.
TEXT = ("basename", "checksum", "class", "contents", "dirname", "format", "location", "nameext", "nameroot", "path")
LISTS = ("listing", "secondaryFiles")


def find_files(value: Any) -> Iterator[MutableMapping[str, Any]]:
    """Find the files and folders in a value, those in lists, records, listings and beside files as well."""
    return (each for each in _find_mappings(value) if each.get("class") in FILES)


def _find_mappings(value: Any) -> Iterator[MutableMapping[str, Any]]:
    waiting, seen = [value], set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, (MutableMapping, MutableSequence)):
            if id(each) in seen:
                continue
            seen.add(id(each))
        if isinstance(each, MutableMapping):
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
    return isinstance(location, str) and url_scheme(location) in ("http", "https")


def url_scheme(location: str) -> str:
    """Return the scheme of a URL, in lower case; none if it has none."""
    try:
        return urlsplit(location).scheme
    except ValueError:  # what follows it is no address
        return location.partition(":")[0].strip().lower()


def check_names(value: Any, of: str) -> None:
    """Refuse files whose names would lead elsewhere, and drop where tools say that files are: cwltool sets it.

    :param value: a value of CWL.
    :param of: what has the value, for the message.
    :raises Refused: a name is none.
    """
    drop_null(value)
    for file in find_files(value):
        file.pop("dirname", None)
        check_fields(file, of)
        for key in ("basename", "nameroot", "nameext"):
            # nameroot and nameext follow from basename, and may be empty.
            if file.get(key) and (key == "basename" or "/" in file[key]):
                check_name(file[key], of)


def drop_null(value: Any) -> None:
    """Drop the fields of files and folders that are null, at which schema-salad and cwltool fail."""
    for file in find_files(value):
        for key in (*TEXT, *LISTS):
            if file.get(key, "") is None:
                del file[key]


def has_odd_class(value: Any) -> bool:
    """Tell whether something in a value has a ``class`` that is no text, at which schema-salad fails."""
    return any(not isinstance(each.get("class", ""), str) for each in _find_mappings(value))


def keys_that_are_no_text(value: Any) -> list[Any]:
    """Return the keys of mappings in a value that JSON has no form for."""
    return [key for each in _find_mappings(value) for key in each if not isinstance(key, str)]


def check_content(file: Mapping[str, Any], of: str) -> None:
    """Refuse a file or folder that is nowhere and holds nothing.

    :raises Refused: names the fields that are missing.
    """
    wanted = ("contents",) if file["class"] == "File" else ("listing", "basename")
    if not (file.keys() & {"location", "path", *READS} or file.keys() >= {*wanted}):
        kind, needed = file["class"], " and ".join(f"'{each}'" for each in wanted)
        raise Refused(f"{of}: a {kind} must have 'location' or 'path', or else {needed}.")


def check_fields(file: Mapping[str, Any], of: str) -> None:
    """Refuse a file or folder with fields of other types than CWL gives them, at which cwltool ends with a traceback.

    :param file: as it was given: something may still have to be read into it.
    :param of: what has it, for the message.
    :raises Refused: names the field.
    """
    kind = file["class"]
    for key in TEXT:
        if key in file and not (isinstance(file[key], str) or _is_read(file[key])):
            raise Refused(f"{of}: '{key}' of a {kind} must be text, not {shown_name(file[key])}.")
    for key in LISTS:
        value = file.get(key, ())
        members = value if is_list(value) else [value]
        if not _is_read(value) and not all(_is_file(each) or _is_read(each) for each in members):
            raise Refused(f"{of}: '{key}' of a {kind} must be a list of files and folders, not {shown_name(value)}.")


def _is_file(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class") in FILES


def _is_read(value: Any) -> bool:
    return isinstance(value, Mapping) and any(name in value for name in READS)


def is_list(value: Any) -> bool:
    """Tell whether a value is a list, which text is not."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
