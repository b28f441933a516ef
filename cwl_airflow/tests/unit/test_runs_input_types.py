"""Inputs of a wrong type are refused before anything runs, in words of the document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from begun import begin, shell

ENUM = {"type": "enum", "symbols": ["fast", "slow"]}
RECORD = {"type": "record", "fields": {"lanes": "int[]", "name": "string?"}}
STEP = {"run": shell("true"), "in": {}, "out": []}
FORM = '{"class": "File", "path": "…"}'


def document(kind: str, type_of_input: Any) -> dict[str, Any]:
    """Return a document with an input."""
    own = shell("true") if kind == "CommandLineTool" else {"class": "Workflow", "outputs": {}, "steps": {"step": STEP}}
    schemas = {"SchemaDefRequirement": {"types": [{"name": "mode", **ENUM}]}}
    return {**own, "inputs": {"value": {"type": type_of_input}}, "requirements": schemas}


@pytest.mark.parametrize("kind", ["CommandLineTool", "Workflow"])
@pytest.mark.parametrize(
    ("type_of_input", "value", "said"),
    [
        ("int", "two", ': must be int, not "two".'),
        ("int?", 1.5, ": must be int, not 1.5."),
        ("boolean", "yes", ': must be boolean, not "yes".'),
        ("string", 1, ": must be string, not 1."),
        ("double", "ä" * 100, f': must be double, not "{"ä" * 79}….'),
        (ENUM, "fst", ": must be one of 'fast', 'slow', not \"fst\". Did you mean 'fast'?"),
        (["null", ENUM], 3, ": must be one of 'fast', 'slow', not 3."),
        ("#mode", "any", ": must be one of 'fast', 'slow', not \"any\"."),
        (["int", "string[]"], 1.5, ": must be int or a list of string, not 1.5."),
        ("int[]", [1, "x"], ', item 2: must be int, not "x".'),
        ("int[]?", 5, ": must be a list of int, not 5."),
        ("File[]", ["a.txt"], f', item 1: must be a File, as {FORM}, not "a.txt".'),
        ("File", "a.txt", f': must be a File, as {FORM}, not "a.txt".'),
        ("File", {"path": "a.txt"}, f": has no 'class': a File is {FORM}."),
        ("File", {"class": "Directory", "basename": "a", "listing": []}, ": must be a File, not a Directory."),
        (RECORD, {"lanes": [1, "x"]}, ", field 'lanes', item 2: must be int, not \"x\"."),
        (RECORD, {"name": "x"}, ": field 'lanes' is missing."),
        (RECORD, [], ": must be an object with lanes, name, not []."),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, kind: str, type_of_input: Any, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        begin(tmp_path, document(kind, type_of_input), {"value": value})
    assert str(error.value) == f"Input 'value'{said}"


@pytest.mark.parametrize("kind", ["CommandLineTool", "Workflow"])
@pytest.mark.parametrize(
    ("type_of_input", "value"),
    [
        ("int", 1),
        ("double", 1),
        ("Any", "x"),
        (ENUM, "slow"),
        ("#mode", "slow"),
        (["int", "string[]"], ["x"]),
        (RECORD, {"lanes": [1]}),
        ("File", {"class": "File", "basename": "a", "contents": "b"}),
    ],
)
def test_what_is_right_is_taken(tmp_path: Path, kind: str, type_of_input: Any, value: Any) -> None:
    begin(tmp_path, document(kind, type_of_input), {"value": value})


def test_a_record_with_a_field_that_is_called_class(tmp_path: Path) -> None:
    record = {"type": "record", "fields": {"class": "long", "other": "Any"}}
    with pytest.raises(ValueError, match=r"^A field 'class' of a record must be text"):
        begin(tmp_path, document("CommandLineTool", record), {"value": {"class": 5, "other": 1}})


def test_what_is_no_input_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    begin(tmp_path, document("Workflow", "string?"), {"value": "a", "valeu": "b"})
    assert "The job gives 'valeu', which is no input of the document and is not used. Did you mean 'value'?" in [
        record.getMessage() for record in caplog.records if record.levelname == "WARNING"
    ]
