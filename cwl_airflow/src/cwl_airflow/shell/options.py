"""Inputs of a document on a command line, as cwltool takes them: ``--reads a.fq b.fq --threads 4``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from .. import strict_json
from ..dags.form_check import FILES_IN
from ..runs.near_names import did_you_mean, nearest_name


def read_options(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of options, of which each may have several, or none.

    :raises ValueError: a word belongs to no option.
    """
    found: dict[str, list[str]] = {}
    name = None
    for word in words:
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            found.setdefault(name, []).extend([value] if equals else [])
        elif name is None:
            raise ValueError(f"{word!r} belongs to no option: inputs are given as --name value, or in one file.")
        else:
            found[name].append(word)
    return found


def fill_form(given: Mapping[str, Sequence[str]], fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fields of a form, filled in with what options say.

    :param given: the options' values.
    :param fields: of the DAG's form by input, each with its JSON Schema as ``schema``, as Airflow's API has them.
    :raises ValueError: names the option, and what it may be.
    """
    filled: dict[str, Any] = {name: field.get("value") for name, field in fields.items()}
    for name, values in given.items():
        if name not in fields:
            meant = nearest_name(name, fields)
            known = ", ".join(f"--{each}" for each in sorted(fields)) or "none"
            raise ValueError(f"--{name} is no input of the document, which has: {known}.{did_you_mean(meant)}")
        filled[name] = _value(name, list(values), fields[name].get("schema") or {})
    return filled


def _value(name: str, values: list[str], schema: Mapping[str, Any]) -> Any:
    kinds = _kinds(schema)
    if "array" in kinds:
        items = {FILES_IN: schema.get(FILES_IN), **(schema.get("items") or {})}
        return [_value(name, [each], items) for each in values]
    if "boolean" in kinds and not values:
        return True
    if len(values) != 1:
        hint = "" if values else f" One that begins with -- is given as --{name}=--…"
        raise ValueError(f"--{name} takes one value, not {len(values)}.{hint}")
    (text,) = values
    if {"boolean", "integer", "number", "object"} & kinds:
        try:
            return strict_json.loads(text)
        except ValueError as error:
            kind = " or ".join(sorted(kinds - {"null"}))
            raise ValueError(f"--{name} must be {kind}, not {text!r}.") from error
    if schema.get(FILES_IN) and kinds and not text.strip():
        raise ValueError(f"--{name} is empty: give a path.")
    # Of a type of several forms it may be a path.
    if schema.get(FILES_IN) and "://" not in text and (kinds or os.path.exists(text)):
        return os.path.abspath(text)
    return text


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("type", [])
    return {kind} if isinstance(kind, str) else set(kind)
