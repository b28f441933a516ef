"""The adapter: modules that moved are where DAG files and upstream's code look for them."""

from __future__ import annotations

import importlib
import importlib.util

import pytest
from cwl_airflow_extras import adapter


@pytest.mark.parametrize("target", sorted(set(adapter.MOVED.values())))
def test_what_takes_a_place_is_there(target: str) -> None:
    assert importlib.util.find_spec(target) is not None


def test_what_cwltool_moved_is_where_it_was() -> None:
    old, new = importlib.import_module("cwltool.expression"), importlib.import_module("cwl_utils.expression")
    assert old.do_eval is new.do_eval
    assert new.__name__ == "cwl_utils.expression"


def test_no_other_module_is_touched() -> None:
    finder = adapter._Moved()
    for name in ("cwl_airflow", "cwl_airflow.extensions", "cwl_airflow.utilities.cwl", "cwltool", "cwltool.main"):
        assert finder.find_spec(name) is None
