"""The state of a run comes back as it was, numbers in the form in which they were written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.runs.cwl_json import as_written, read_cwl_json, write_cwl_json
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml.scalarfloat import ScalarFloat
from schema_salad.utils import yaml_no_ts

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda children: st.lists(children) | st.dictionaries(st.text(st.characters(codec="utf-8")), children),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a file in a folder that is not there yet."""
    return tmp_path_factory.mktemp("state") / "new" / "state.json"


@given(VALUES)
def test_what_is_kept_comes_back(file: Path, value: Any) -> None:
    write_cwl_json(value, file)
    assert read_cwl_json(file) == value
    assert [other.name for other in file.parent.iterdir()] == ["state.json"]


@pytest.mark.parametrize("text", ["1.50", "1e3", "1.0e+10", "-0.10", "0.00001", "123456789012345678901234567890"])
def test_numbers_keep_their_form(file: Path, text: str) -> None:
    yaml = yaml_no_ts()
    write_cwl_json({"number": yaml.load(text)}, file)
    again = read_cwl_json(file)["number"]
    written = yaml.representer.represent_data(again).value
    assert written == yaml.representer.represent_data(yaml.load(text)).value


def test_keys_become_text_and_tuples_lists(file: Path) -> None:
    write_cwl_json({1: (1, {2: "ü"})}, file)
    assert read_cwl_json(file) == {"1": [1, {"2": "ü"}]}


def test_numbers_of_json_become_such_as_yaml_has() -> None:
    made = as_written([{"a": [0.5]}, {"inf": float("inf"), "whole": 1, "text": "1.5", "none": None}])
    assert made == [{"a": [0.5]}, {"inf": float("inf"), "whole": 1, "text": "1.5", "none": None}]
    assert isinstance(made[0]["a"][0], ScalarFloat)
    assert type(made[1]["inf"]) is float


def test_a_value_that_cannot_be_kept_leaves_what_was_there(file: Path) -> None:
    write_cwl_json({"a": 1}, file)
    with pytest.raises(TypeError):
        write_cwl_json({"a": object()}, file)
    assert read_cwl_json(file) == {"a": 1}
