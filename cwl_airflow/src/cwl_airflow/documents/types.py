"""Types of inputs, in values of JSON: how they are written, and how a form asks for them.

A type is the name of a primitive one, File or Directory; a list of alternatives; or an object for an array, an enum or
a record.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .. import strict_json
from ..gate.objects import FILES

#: Of JSON's types, what a form asks for.
JSON_TYPES = {
    "boolean": "boolean",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "string": "string",
    "File": "string",
    "Directory": "string",
}
#: What a whole number may be.
LIMITS = {"int": 2**31, "long": 2**63}


def type_text(kind: Any) -> str:
    """Return a type as CWL writes it in short: ``File[]``, ``string?``, ``fast | slow``."""
    if isinstance(kind, list):
        others = [type_text(each) for each in kind if each != "null"]
        text = " or ".join(others)
        return f"{f'({text})' if len(others) > 1 else text}?" if "null" in kind else text
    if isinstance(kind, str):
        return kind
    if kind["type"] == "array":
        items = type_text(kind["items"])
        return f"({items})[]" if " " in items else f"{items}[]"
    if kind["type"] == "enum":
        return " | ".join(kind["symbols"])
    return f"record ({', '.join(f'{name}: {type_text(field)}' for name, field in kind['fields'].items())})"


def alternatives(kind: Any) -> list[Any]:
    """Return what a value may be, beside nothing."""
    return [each for each in kind if each != "null"] if isinstance(kind, list) else [kind]


def may_be_left_out(kind: Any) -> bool:
    """Tell whether an input of a type needs no value."""
    return "null" in kind if isinstance(kind, list) else kind == "null"


def is_empty_text(kind: Any, value: Any) -> bool:
    """Tell whether a text is none: it is empty, and a type has no text that may be."""
    takes_text = any(
        each in ("string", "Any") or (isinstance(each, Mapping) and value in each.get("symbols", ()))
        for each in alternatives(kind)
    )
    if not isinstance(value, str) or value.strip():
        return False
    return not takes_text or (value == "" and may_be_left_out(kind))


def types_in(kind: Any) -> set[str]:
    """Return the names of the types that a type is made of."""
    if isinstance(kind, str):
        return {kind}
    parts = kind if isinstance(kind, list) else [kind.get("items", []), *kind.get("fields", {}).values()]
    return {name for part in parts for name in types_in(part)}


def form_schema(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema by which a form asks for a value, and checks it.

    No form can know what a job in another form gives, so that nothing has to be there.
    """
    kinds = alternatives(kind)
    if len(kinds) != 1:
        return {}  # anything, which a form takes as text
    (one,) = kinds
    if isinstance(one, str):
        if one not in JSON_TYPES:
            return {}
        limit = LIMITS.get(one)
        bounds = {"minimum": -limit, "maximum": limit - 1} if limit else {}
        return {"type": ["null", JSON_TYPES[one]], **bounds}
    if one["type"] == "enum":
        return {"type": ["null", "string"], "enum": [None, *one["symbols"]], "values_display": {"null": "(none)"}}
    if one["type"] == "record":
        return {"type": ["null", "object"]}
    items = form_schema(one["items"]).get("type")
    if not items:
        return {"type": ["null", "array"], "items": {}}
    return {"type": ["null", "array"], "items": {"type": items if may_be_left_out(one["items"]) else items[1]}}


def form_value(kind: Any, value: Any) -> Any:
    """Return what somebody gave in a form, as a job has it: paths become files and folders.

    :param kind: the type of the input.
    :param value: as the form gave it.
    """
    kinds = alternatives(kind)
    if isinstance(value, str):
        return _of_text(kinds, value)
    if isinstance(value, list):
        items = next((each["items"] for each in kinds if _is(each, "array")), "Any")
        return [form_value(items, each) for each in value if not is_empty_text(items, each)]
    if isinstance(value, Mapping) and value.get("class") not in FILES:
        records = [each["fields"] for each in kinds if _is(each, "record")]
        fields: Mapping[str, Any] = next((each for each in records if value.keys() <= each.keys()), {})
        return {
            name: form_value(fields.get(name, "Any"), each)
            for name, each in value.items()
            if not is_empty_text(fields.get(name, "Any"), each)
        }
    whole = isinstance(value, float) and value.is_integer() and not {"float", "double", "Any"} & {*_names(kinds)}
    return int(value) if whole else value


def _names(kinds: list[Any]) -> list[str]:
    return [each for each in kinds if isinstance(each, str)]


def _is(kind: Any, composed: str) -> bool:
    return isinstance(kind, Mapping) and kind["type"] == composed


def _of_text(kinds: list[Any], text: str) -> Any:
    """Return what a text means where a type has no text, or several forms."""
    names = _names(kinds)
    if "string" in names or any(_is(each, "enum") and text in each["symbols"] for each in kinds):
        return text
    # Not a path, though a file may be called so.
    if text.lstrip()[:1] in ("[", "{") and (len(kinds) > 1 or names == ["Any"]):
        with suppress(ValueError):
            return form_value(kinds, strict_json.loads(text))
    if "Any" not in names and (files := [each for each in FILES if each in names]):
        text = text.strip()
        is_folder = len(files) == 2 and (text.endswith("/") or os.path.isdir(text))
        return {"class": files[is_folder], "location" if "://" in text else "path": text}
    if len(kinds) > 1 or names == ["Any"]:
        with suppress(ValueError):
            return strict_json.loads(text)
    return text
