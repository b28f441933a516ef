"""Types of inputs, in values of JSON: how they are written, and how a form asks for them.

A type is the name of a primitive one, File or Directory; a list of alternatives; or an object for an array, an enum or
a record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

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
    return "null" in kind if isinstance(kind, list) else kind in ("null", "Any")


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
    if len(kinds) != 1 or kinds == ["Any"]:
        return {}  # anything, which a form takes as text
    (one,) = kinds
    if isinstance(one, str):
        limit = LIMITS.get(one)
        bounds = {"minimum": -limit, "maximum": limit - 1} if limit else {}
        return {"type": ["null", JSON_TYPES[one]], **bounds}
    if one["type"] == "enum":
        return {"type": ["null", "string"], "enum": [None, *one["symbols"]], "values_display": {"null": "(none)"}}
    if one["type"] == "record":
        return {"type": ["null", "object"]}
    items = form_schema(one["items"])
    return {"type": ["null", "array"], "items": {"type": items["type"][1]} if items else {}}


def form_value(kind: Any, value: Any) -> Any:
    """Return what somebody gave in a form, as a job has it: paths become files and folders.

    :param kind: the type of the input.
    :param value: as the form gave it.
    """
    kinds = alternatives(kind)
    if isinstance(value, str):
        return _of_text(kinds, value)
    if isinstance(value, list):
        items = next((each["items"] for each in kinds if _is_array(each)), "Any")
        return [form_value(items, each) for each in value]
    if isinstance(value, Mapping) and "class" not in value:
        records = [each["fields"] for each in kinds if isinstance(each, Mapping) and each["type"] == "record"]
        fields: Mapping[str, Any] = records[0] if records else {}
        return {name: form_value(fields.get(name, "Any"), each) for name, each in value.items()}
    return value


def _is_array(kind: Any) -> bool:
    return isinstance(kind, Mapping) and kind["type"] == "array"


def _of_text(kinds: list[Any], text: str) -> Any:
    """Return what a text means where a type has no text, or several forms."""
    if any(each == "string" or (isinstance(each, Mapping) and text in each.get("symbols", ())) for each in kinds):
        return text
    if files := [each for each in kinds if each in ("File", "Directory")]:
        return {"class": files[0], "location" if "://" in text else "path": text}
    if len(kinds) > 1 or kinds == ["Any"]:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
