"""Refuse inputs of another type than the document's, in words that name the input, the value and what it must be."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, cast

from cwltool.builder import INPUT_OBJ_VOCAB
from cwltool.process import Process, fill_in_defaults
from cwltool.stdfsaccess import StdFsAccess
from cwltool.utils import normalizeFilesDirs
from schema_salad.avro.schema import Schema
from schema_salad.exceptions import ValidationException
from schema_salad.validate import validate_ex

from ..documents.about import plain_type
from ..gate.objects import FILES
from .near_names import did_you_mean, nearest_name

#: cwltool warns when it takes the inputs.
_SILENT = logging.Logger("silent", logging.CRITICAL)
#: By Python's types of JSON's values.
KINDS: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "int": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "string": (str,),
}
#: Characters of a value that are shown.
LONGEST = 80


def check_types(process: Process, job: Mapping[str, Any], access: StdFsAccess) -> None:
    """Refuse a job with an input of a wrong type.

    cwltool has the last word: what it takes is right. It names no symbols, and types by names of its own.

    :param job: the inputs, with their files resolved.
    :param access: for the document's defaults.
    :raises ValueError: names the input, the value and what it must be.
    :raises schema_salad.exceptions.ValidationException: it is wrong in another way, in cwltool's words.
    """
    inputs = dict(copy.deepcopy(dict(job)))
    fill_in_defaults(process.tool["inputs"], inputs, access)
    try:
        normalizeFilesDirs(inputs)
        schema = cast(Schema, process.names.get_name("input_record_schema", None))
        validate_ex(schema, inputs, strict=False, vocab=INPUT_OBJ_VOCAB, logger=_SILENT)
    except TypeError as error:  # it takes what has a 'class' for a thing of CWL
        raise ValueError("A field 'class' of a record must be text that names no type of CWL's.") from error
    except ValidationException as error:
        for field in cast(list[dict[str, Any]], process.inputs_record_schema["fields"]):
            name = field["name"]
            if wrong := type_error(plain_type(field["type"], process.schemaDefs), inputs.get(name)):
                raise ValueError(f"Input '{name}'{wrong}") from error
        raise


def type_error(kind: Any, value: Any) -> str | None:
    """Return what is wrong with a value, as it goes on after the name of its input; none if it is of a type.

    :param kind: the type, as `documents.types` has it.
    """
    if isinstance(kind, list):
        return _union_error(kind, value)
    if isinstance(kind, str):
        return _named_error(kind, value)
    return _COMPOSED[kind["type"]](kind, value)


def _union_error(kinds: list[Any], value: Any) -> str | None:
    errors = [type_error(kind, value) for kind in kinds]
    if None in errors:
        return None
    others = [error for kind, error in zip(kinds, errors, strict=True) if kind != "null"]
    return others[0] if len(others) == 1 else _must_be(describe_type(kinds), value)


def _named_error(kind: str, value: Any) -> str | None:
    if kind in FILES:
        return _file_error(kind, value)
    return None if isinstance(value, KINDS.get(kind, (object,))) else _must_be(describe_type(kind), value)


def _file_error(kind: str, value: Any) -> str | None:
    form = f'{{"class": "{kind}", "path": "…"}}'
    if not isinstance(value, Mapping):
        return f": must be a {kind}, as {form}, not {shown(value)}."
    if "class" not in value:
        return f": has no 'class': a {kind} is {form}."
    return None if value["class"] == kind else f": must be a {kind}, not a {value['class']}."


def _array_error(kind: Mapping[str, Any], value: Any) -> str | None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return _must_be(f"a list of {describe_type(kind['items'])}", value)
    for number, item in enumerate(value, 1):
        if wrong := type_error(kind["items"], item):
            return f", item {number}{wrong}"
    return None


def _enum_error(kind: Mapping[str, Any], value: Any) -> str | None:
    symbols = kind["symbols"]
    if value in symbols:
        return None
    nearest = nearest_name(value, symbols) if isinstance(value, str) else None
    return _must_be(describe_type(kind), value) + did_you_mean(nearest)


def _record_error(kind: Mapping[str, Any], value: Any) -> str | None:
    if not isinstance(value, MutableMapping):
        return _must_be(f"an object with {', '.join(kind['fields'])}", value)
    for name, field in kind["fields"].items():
        if wrong := type_error(field, value.get(name)):
            return f", field '{name}'{wrong}" if name in value else f": field '{name}' is missing."
    return None


#: What says what is wrong with a value, by the kind of type.
_COMPOSED = {"array": _array_error, "enum": _enum_error, "record": _record_error}


def describe_type(kind: Any) -> str:
    """Return a type in words.

    :param kind: the type, as `documents.types` has it.
    """
    if isinstance(kind, str):
        return "nothing" if kind == "null" else kind
    if isinstance(kind, list):
        return " or ".join(describe_type(each) for each in kind)
    if kind["type"] == "enum":
        return f"one of {', '.join(map(repr, kind['symbols']))}"
    return f"a list of {describe_type(kind['items'])}" if kind["type"] == "array" else "a record"


def _must_be(what: str, value: Any) -> str:
    return f": must be {what}, not {shown(value)}."


def shown(value: Any) -> str:
    """Return a value as JSON, with its end left out if it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
