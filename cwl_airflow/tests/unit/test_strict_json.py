"""JSON from outside."""

from __future__ import annotations

import json

import pytest
from cwl_airflow.strict_json import DEEPEST, check_value, loads
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda deeper: st.lists(deeper) | st.dictionaries(TEXT, deeper),
)


@given(VALUES)
def test_what_is_json_is_read(value: object) -> None:
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("{", "property name"),
        (b"\xff", "UTF-8"),
        ('"\\ud800"', r"half a character: \\ud800"),
        ('{"\\udfff": 1}', r"half a character: \\udfff"),
        ("NaN", "NaN is no number"),
        ("[-Infinity]", "Infinity is no number"),
        ("1e999", "too large"),
        ("9" * 5000, "4300"),
        ('{"a": 1, "b": 2, "a": 1}', "'a' twice in an object"),
        ('[{"a": {"b": 1, "\\u0062": 2}}]', "'b' twice in an object"),
        ('{"\\ud800": 1, "\\ud800": 2}', r"'\\ud800' twice in an object"),
        ('{"' + "a" * 1000 + '": 1, "' + "a" * 1000 + '": 2}', r"it has 'a{12}\.{3}a+' twice in an object"),
        ("[" * 200_000, "nested more than 100 deep"),
        ('{"a":' * 200_000 + "1" + "}" * 200_000, "nested more than 100 deep"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested more than 100 deep"),
    ],
)
def test_what_others_cannot_take_is_refused(text: str | bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        loads(text)


def test_the_limit_of_depth_is_exact() -> None:
    assert loads("[" * DEEPEST + "]" * DEEPEST)


def test_much_that_is_not_deep_is_read() -> None:
    check_value([{"a": [str(number)] * 10} for number in range(10_000)])
