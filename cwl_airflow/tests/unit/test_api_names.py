"""Names from outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from cwl_airflow.api.names import check_dag_id, check_name, check_run_id
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("name", ["a", "_", "two-step", "v1.2", "0" * 250, "a..b", "x.py"])
def test_names_of_new_dags(name: str) -> None:
    check_dag_id(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "...", ".hidden", "-rf", "--help", "a\n", "\na", "a b", "a/b", "../a", "a\\b", "a\0", "a\x1b"),
        *("ä", "a\u0301", "😀", "\ud800", "a'b", 'a"b', "a$b", "a%2f", "{a}", "0" * 251),
    ],
)
def test_names_that_no_new_dag_may_have(name: str) -> None:
    with pytest.raises(ValueError, match="dag_id must have 1 to 250 characters"):
        check_dag_id(name)


@given(st.text())
def test_a_new_dag_is_a_file_of_the_folder_and_no_option(name: str) -> None:
    try:
        check_dag_id(name)
    except ValueError:
        return
    path = Path("/folder") / f"{name}.py"
    assert path.parent == Path("/folder")
    assert not name.startswith((".", "-"))
    assert len(path.name.encode()) <= 255
    assert name.isprintable()


@pytest.mark.parametrize("value", ["", "run", "manual__2024-01-31T00:00:00+00:00", "größe", "漢"])
def test_what_may_be_a_name_is_asked_for(value: str) -> None:
    check_name("run_id", value)


@pytest.mark.parametrize(
    ("value", "code"), [("a\0", "0000"), ("a\n", "000A"), ("\x7f", "007F"), ("😀", "1F600"), ("\udcff", "DCFF")]
)
def test_what_is_no_name_is_not_asked_for(value: str, code: str) -> None:
    with pytest.raises(ValueError, match=rf"run_id has a character that no name may have: U\+{code}\."):
        check_name("run_id", value)


def test_a_run_has_a_name_that_fits_into_the_database() -> None:
    check_run_id("r" * 250)
    with pytest.raises(ValueError, match="more than 250"):
        check_run_id("r" * 251)
