"""What counts as a value that would not stay on its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from line_breaks import FilterModule, line_breaks


@given(st.text())
def test_what_is_let_through_is_one_line(text: str) -> None:
    if not line_breaks({"name": text}):
        assert text.splitlines() in ([], [text])
        assert "\0" not in text


@pytest.mark.parametrize("value", ["plain", "two words", "a\ttab", "äß€ 𝄞", "", 8, 0.5, None, True, [], {}])
def test_one_line_is_one_line(value: object) -> None:
    assert line_breaks({"name": value}) == []


def test_parts_are_named() -> None:
    value = {"a": ["fine", {"b": "x\ny"}], "c\rd": "fine"}
    assert line_breaks({"name": value}) == ['name.a[].b has "x\\ny"', 'name has "c\\rd"']
    assert len(line_breaks({"a\nb": "fine"})) == 1


@pytest.mark.parametrize("name", ["mysql_airflow_password", "airflow_database_url", "airflow_fernet_key"])
def test_secrets_are_not_shown(name: str) -> None:
    assert line_breaks({name: "hush\n"}) == [f"{name} has a secret"]


def test_several_lines_may_be_meant() -> None:
    values = {"name": [{"key": "a\nb", "other": "a\nb"}], "pem": "a\nb"}
    assert line_breaks(values, ["name[].key", "pem"]) == ['name[].other has "a\\nb"']


def test_several_lines_may_be_meant_in_any_part() -> None:
    values = {"units": {"a-b": {"keys": {"one": "a\nb"}, "text": "a\nb"}}}
    assert line_breaks(values, ["units.*.keys.*"]) == ['units.a-b.text has "a\\nb"']


def test_ansible_finds_the_filter() -> None:
    assert FilterModule().filters() == {"line_breaks": line_breaks}
