"""Find values that would not stay on one line of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

# Control characters but the tab, and whatever else str.splitlines() ends a line at.
_BREAK = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_SECRET = re.compile("password|secret|key|url|conn", re.IGNORECASE)


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Return each text in a value, names included, with where it is."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield path, str(name)
            yield from _texts(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner, f"{path}[]")


def line_breaks(values: Mapping[str, object], several_lines: Collection[str] = ()) -> list[str]:
    """Describe what has a line break or another control character, and so would add lines of its own to a file.

    :param values: values by the name of their variable, of any depth.
    :param several_lines: where several lines are meant: a variable, or a part of one (``name.part``, in a list
        ``name[].part``; ``*`` is any one part).
    :returns: one description for each text that breaks; what may be a secret is not shown.
    """
    meant = [re.compile(re.escape(each).replace(r"\*", "[^.]+")) for each in several_lines]
    return [
        f"{json.dumps(path)[1:-1]} has {'a secret' if _SECRET.search(path) else json.dumps(text)}"
        for path, text in _texts(values, "")
        if _BREAK.search(text) and not any(each.fullmatch(path) for each in meant)
    ]


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"line_breaks": line_breaks}
