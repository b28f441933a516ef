"""JSON from outside, without what other programs cannot take: RFC 8259 lets a reader set limits (section 9)."""

from __future__ import annotations

import json
import math
import reprlib
from collections import Counter
from collections.abc import Iterable
from typing import Any, NoReturn

#: How deep lists and objects may be in each other. Python's own limit is met somewhere between 300 and 1000.
DEEPEST = 100


def loads(text: str | bytes) -> Any:
    """Return what a text of JSON says.

    :param text: text, or its UTF-8.
    :raises ValueError: it is not JSON, has a name twice in an object, or `check_value` refuses it; the message is one
        clause.
    """
    try:
        text = text if isinstance(text, str) else text.decode("utf-8")
        value = json.loads(text, parse_constant=_no_number, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    check_value(value)
    return value


def check_value(value: Any) -> None:
    """Refuse what JSON can say and others cannot store, show or send.

    :param value: what was read.
    :raises ValueError: it is nested too deep, or has half a character (an unpaired surrogate) or a number that is
        too large; the message is one clause.
    """
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for item in level for inner in _items_inside(item)]
    if any(isinstance(item, (dict, list)) or _items_inside(item) for item in level):
        raise ValueError(f"it is nested more than {DEEPEST} deep")


def _items_inside(item: Any) -> Iterable[Any]:
    """Return what is in a list or an object, with its names; check what is neither."""
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    if isinstance(item, list):
        return item
    if isinstance(item, str):
        _check_text(item)
    elif isinstance(item, float) and not math.isfinite(item):
        raise ValueError("it has a number that is too large")
    return ()


def storable(text: str) -> str:
    """Return a text as databases, files and programs take it: without half characters and NUL."""
    return text.encode(errors="replace").decode().replace("\0", "")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"it has half a character: \\u{ord(text[error.start]):04x}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON. Of a name that comes twice, others may read the value that is not read here."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise ValueError(f"it has {reprlib.repr(twice)} twice in an object")
    return made


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
