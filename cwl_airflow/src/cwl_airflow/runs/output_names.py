"""Names of outputs that would lie beside each other under the same one.

CWL allows several of a name, as from the jobs of a scattered step. cwltool gives each further file a number, and fails
at folders: it merges them, and then looks for their files under names that it did not use.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any

from ..gate.objects import FILES, local_path

#: Bytes of a name in file systems.
LONGEST_NAME = 255


def name_apart(value: Any, taken: Iterable[str] = ()) -> None:
    """Let the second one of a name end in ``_2``, the third one in ``_3``, and so on; in folders that CWL makes, too.

    What is given twice is one file, and keeps one name.

    :param value: the outputs of a run, or what is in a folder.
    :param taken: names that none of them may have.
    """
    names: dict[str, Any] = dict.fromkeys(taken)
    for file in _beside(value):
        path = local_path(file)
        same = os.path.realpath(path) if path else file.get("location") or id(file)
        file["basename"] = _free_name(_name(file), same, names)
        if not path and "listing" in file:
            name_apart(file["listing"])


def _beside(value: Any) -> Iterator[MutableMapping[str, Any]]:
    """Find the files and folders that lie beside each other, in their order."""
    if isinstance(value, MutableMapping) and value.get("class") in FILES:
        yield value
        yield from _beside(value.get("secondaryFiles"))
    elif isinstance(value, (Mapping, MutableSequence)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _beside(item)


def _name(file: Mapping[str, Any]) -> str:
    return str(file.get("basename") or os.path.basename((local_path(file) or "").rstrip("/")) or "output")


def _numbered(name: str, number: str) -> str:
    """Return a name with a number; the end of one that is as long as file systems allow makes room for that."""
    kept = os.fsencode(name)[: LONGEST_NAME - len(number)]
    return kept.decode(errors="ignore") + number


def _free_name(name: str, of: Any, names: dict[str, Any]) -> str:
    """Return the first of a name and those with a number that is free, and take it.

    :param of: what is to have it: the name is free for that if it has it already.
    :param names: those that are taken, and by what.
    """
    numbered: Iterable[str] = (_numbered(name, f"_{number}") for number in itertools.count(2))
    free = next(each for each in itertools.chain([name], numbered) if names.get(each, of) == of)
    names[free] = of
    return free
