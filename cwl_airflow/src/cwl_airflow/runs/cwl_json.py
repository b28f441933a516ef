"""The state of a run: JSON that keeps numbers as they were written, as CWL hands them to tools in that form."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ruamel.yaml.scalarfloat import ScalarFloat
from schema_salad.utils import yaml_no_ts

from ..files import write_atomically

#: Stands for a number whose text is not the one that Python would give it.
MARK = "cwl-airflow:number"


def _text_of_number(number: ScalarFloat) -> str:
    yaml = yaml_no_ts()
    return str(yaml.representer.represent_scalar_float(number).value)


def _with_marks(value: Any) -> Any:
    if isinstance(value, ScalarFloat):
        return {MARK: _text_of_number(value)}
    if isinstance(value, dict):
        return {str(key): _with_marks(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_marks(item) for item in value]
    return value


def _without_marks(value: dict[str, Any]) -> Any:
    return yaml_no_ts().load(value[MARK]) if value.keys() == {MARK} else value


def as_written(value: Any) -> Any:
    """Give the numbers of JSON the form that they have in YAML, in which cwltool hands them to tools."""
    if isinstance(value, float) and math.isfinite(value):
        return yaml_no_ts().load(json.dumps(value))
    if isinstance(value, dict):
        return {key: as_written(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_written(item) for item in value]
    return value


def write_cwl_json(value: Any, path: Path) -> None:
    """Write a value as JSON, at once or not at all.

    :param value: what CWL calls an object: mappings, lists, text, numbers, truth values, null.
    :param path: the file; its folder is made.
    """
    write_atomically(path, json.dumps(_with_marks(value)))


def read_cwl_json(path: Path) -> Any:
    """Read what `write_cwl_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"), object_hook=_without_marks)
