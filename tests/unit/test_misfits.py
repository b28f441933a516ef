"""Values and the form that they need."""

from __future__ import annotations

from typing import Any

import pytest
from misfits import misfits

PORT = {"name": "a_port", "pattern": "[1-9][0-9]*", "fix": "give a port."}
WORDS = {"name": "words", "pattern": "[a-z]+|[0-9]+", "fix": "give words."}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1, "22"], []),
        ([0], ["a_port has 0: give a port."]),
        (["22\n", None], ['a_port has "22\\n", null: give a port.']),
        ([], []),
    ],
)
def test_values_without_their_form_are_named(given: list[Any], expected: list[str]) -> None:
    assert misfits([{**PORT, "given": given}]) == expected


def test_each_variable_has_a_line() -> None:
    forms = [{**PORT, "given": ["x"]}, {**WORDS, "given": ["ok", "not ok", "1a"]}, {**WORDS, "given": ["ok"]}]
    assert misfits(forms) == ['a_port has "x": give a port.', 'words has "not ok", "1a": give words.']
