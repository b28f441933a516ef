"""The job that `cwl_run` sends, and what it shows of a failed task."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from cwl_run import LOG_LINES, own_error, resolve_paths
from hypothesis import given
from hypothesis import strategies as st

BASE = "/var/lib/airflow/dags/two-step"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["path", "location", "secondaryFiles", "a"]), inner, max_size=3)
        | st.fixed_dictionaries({"class": st.sampled_from(["File", "Directory"]), "path": st.text(max_size=5)})
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", ["File", "Directory"])
@pytest.mark.parametrize("key", ["path", "location"])
def test_relative_paths_start_in_the_base(kind: str, key: str) -> None:
    job = {"reads": {"class": kind, key: "inputs/50% of it.fq"}}
    assert resolve_paths(job, BASE) == {"reads": {"class": kind, key: f"{BASE}/inputs/50% of it.fq"}}


@pytest.mark.parametrize("path", ["/data/reads.fq", "file:///data/reads.fq", "https://example.org/reads.fq"])
def test_absolute_paths_and_urls_stay(path: str) -> None:
    job = {"reads": {"class": "File", "path": path}, "other": {"class": "File", "location": path}}
    assert resolve_paths(job, BASE) == job


def test_reaches_arrays_records_and_secondary_files() -> None:
    job = {
        "samples": [
            {"name": "a", "reads": [{"class": "File", "path": "a.bam", "secondaryFiles": [_file("a.bam.bai")]}]},
        ]
    }
    reads = {"class": "File", "path": f"{BASE}/a.bam", "secondaryFiles": [_file(f"{BASE}/a.bam.bai")]}
    assert resolve_paths(job, BASE) == {"samples": [{"name": "a", "reads": [reads]}]}


def test_what_is_no_file_stays() -> None:
    job = {"path": "inputs", "nested": {"path": "x", "location": "y"}, "n": 1, "none": None, "list": ["a/b", True]}
    assert resolve_paths(job, BASE) == job


def test_a_file_literal_stays() -> None:
    job = {"text": {"class": "File", "basename": "a.txt", "contents": "path: a"}}
    assert resolve_paths(job, BASE) == job


@given(VALUES)
def test_does_not_change_the_job_that_it_is_given(job: Any) -> None:
    before = copy.deepcopy(job)
    resolve_paths(job, BASE)
    assert job == before


@given(VALUES)
def test_a_second_time_changes_nothing(job: Any) -> None:
    once = resolve_paths(job, BASE)
    assert resolve_paths(once, "/elsewhere") == once


def _file(path: str) -> dict[str, str]:
    return {"class": "File", "path": path}


def test_shows_the_lines_before_airflows_ending() -> None:
    log = "\n".join(
        ["start", "", "::group::x", "the reason", "::endgroup::", "ERROR - Marking task as FAILED. dag_id=x", "after"]
    )
    assert own_error(log) == ["start", "::group::x", "the reason"]


@pytest.mark.parametrize("ending", ["Marking task as FAILED.", "Marking task as UP_FOR_RETRY."])
def test_shows_the_last_lines_only(ending: str) -> None:
    lines = [f"line {number}" for number in range(2 * LOG_LINES)]
    assert own_error("\n".join([*lines, f"[2026-01-01] INFO - {ending} dag_id=x", "bye"])) == lines[-LOG_LINES:]


def test_shows_the_last_lines_of_a_log_without_ending() -> None:
    lines = [f"line {number}" for number in range(2 * LOG_LINES)]
    assert own_error("\n".join(lines)) == lines[-LOG_LINES:]


@pytest.mark.parametrize("log", ["", "\n \n", "::endgroup::"])
def test_an_empty_log_has_no_lines(log: str) -> None:
    assert own_error(log) == []


@given(st.text())
def test_shows_lines_of_the_log_and_no_more_than_the_limit(log: str) -> None:
    shown = own_error(log)
    assert len(shown) <= LOG_LINES
    assert all(line in log.splitlines() for line in shown)
