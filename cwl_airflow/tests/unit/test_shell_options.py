"""Inputs on a command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.dags.form import form_fields
from cwl_airflow.documents.plan import AboutDocument, AboutParameter
from cwl_airflow.shell.options import fill_form, read_options

ENUM = {"type": "enum", "symbols": ["fast", "slow"]}
RECORD = {"type": "record", "fields": {"reads": "File"}}


def fields(kind: Any, **more: Any) -> dict[str, Any]:
    """Return the form of a document with one input, as Airflow's API has it."""
    form = form_fields(AboutDocument(inputs=(AboutParameter("value", kind, **more),)))
    return {name: {"value": field.value, "schema": field.schema} for name, field in form.items()}


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {}),
        (["--a", "1"], {"a": ["1"]}),
        (["--a=1=2", "--b"], {"a": ["1=2"], "b": []}),
        (["--a", "1", "-2", "--b", "x", "--a", "3"], {"a": ["1", "-2", "3"], "b": ["x"]}),
        (["--a", "--", "--b"], {"a": ["--"], "b": []}),
    ],
)
def test_options_have_values(words: list[str], options: dict[str, list[str]]) -> None:
    assert read_options(words) == options


def test_a_word_that_belongs_to_no_option_is_named() -> None:
    with pytest.raises(ValueError, match=r"^'stray' belongs to no option"):
        read_options(["stray", "--a", "1"])


@pytest.mark.parametrize(
    ("kind", "values", "filled"),
    [
        ("string", ["4"], "4"),
        ("int", ["4"], 4),
        (["null", "double"], ["1.5"], 1.5),
        ("boolean", [], True),
        ("boolean", ["false"], False),
        (ENUM, ["fast"], "fast"),
        ({"type": "array", "items": "int"}, ["1", "2"], [1, 2]),
        ({"type": "array", "items": "string"}, [], []),
        (RECORD, ['{"reads": "a"}'], {"reads": "a"}),
        ("Any", ["4"], "4"),
        (["File", "string"], ["no such file"], "no such file"),
        ("File", ["https://example.org/a"], "https://example.org/a"),
    ],
)
def test_values_are_of_the_types_of_the_form(kind: Any, values: list[str], filled: Any) -> None:
    assert fill_form({"value": values}, fields(kind)) == {"value": filled}


@pytest.mark.parametrize("kind", ["File", ["null", "Directory"], ["File", "string"]])
def test_paths_are_those_of_the_folder_where_it_is_called(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").touch()
    assert fill_form({"value": ["a"]}, fields(kind)) == {"value": str(tmp_path / "a")}
    files = fields({"type": "array", "items": "File"})
    assert fill_form({"value": ["a", "b"]}, files) == {"value": [os.path.abspath("a"), os.path.abspath("b")]}


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("int", {"value": ["two"]}, "--value must be integer, not 'two'."),
        ("string", {"value": ["a", "b"]}, "--value takes one value, not 2."),
        ("string", {"value": []}, "--value takes one value, not 0. One that begins with -- is given as --value=--…"),
        ("File", {"value": [""]}, "--value is empty: give a path."),
        ({"type": "array", "items": "File"}, {"value": ["a", " "]}, "--value is empty: give a path."),
        (RECORD, {"value": ["[" * 10_000]}, f"--value must be object, not {'[' * 10_000!r}."),
        ("string", {"valeu": ["a"]}, "--valeu is no input of the document, which has: --value. Did you mean 'value'?"),
    ],
)
def test_what_is_wrong_is_named(kind: Any, given: dict[str, list[str]], said: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        fill_form(given, fields(kind))
    assert str(error.value) == said


def test_what_is_not_given_is_as_the_form_has_it_at_first() -> None:
    assert fill_form({}, fields("int", default=3)) == {"value": 3}
