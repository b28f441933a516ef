"""Jobs that cannot run are refused in words that name what to change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.runs import job_input as jobs
from gates import open_gate
from hypothesis import given
from hypothesis import strategies as st

INPUTS = [
    {"id": "reads", "type": "File"},
    {"id": "threads", "type": ["null", "int"]},
    {"id": "name", "type": "string", "default": "x"},
    {"id": "extra", "type": "Any"},
]


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        (None, "has no 'job'. It must be {\"job\": {…}} with the inputs: name, reads."),
        ({}, "has no 'job'."),
        ({"jobs": {}}, "Did you mean 'jobs'?"),
    ],
)
def test_a_run_without_a_job(conf: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        jobs.job_in_configuration(conf, lambda: ["reads", "name"])
    assert message in str(error.value)


@pytest.mark.parametrize("job", [{}, {"a": 1}, "/a/job.yml"])
def test_a_run_with_a_job(job: Any) -> None:
    assert jobs.job_in_configuration({"job": job, "other": 1}, list) == job


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({"threads": 1}, "Input 'reads' is missing. The job gives: threads."),
        ({"Reads": 1}, "Input 'Reads' is not one of the workflow's. Did you mean 'reads'?"),
        ({"reads": 1, "thread": 1}, "Input 'thread' is not one of the workflow's. Did you mean 'threads'?"),
        ({"reads": None}, "Input 'reads' is missing. The job gives: reads."),
    ],
)
def test_names(job: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        jobs.check_input_names(job, INPUTS)
    assert str(error.value).strip() == message


@pytest.mark.parametrize(
    "job",
    [
        {"reads": 1},
        {"reads": 1, "threads": 2, "name": "y", "extra": 3},
        {
            "reads": 1,
            "something": "of a tool that is not ours",
            "id": "x",
            "outputs_folder": "y",
            "cwl:requirements": [],
        },
        {"reads": 1, "threads": 2, "thread": 3},
        {"reads": 1, "id": "of nobody"},
    ],
)
def test_names_that_may_be(job: dict[str, Any]) -> None:
    jobs.check_input_names(job, INPUTS)


@given(st.text(min_size=1), st.lists(st.text(min_size=1)))
def test_the_nearest_name_is_one_of_them(name: str, names: list[str]) -> None:
    assert jobs.nearest_name(name, names) in [None, *names]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "reads.fastq").touch()
    job = {"reads": [{"class": "File", "location": (tmp_path / "reads.fasta").as_uri()}]}
    with pytest.raises(FileNotFoundError) as error:
        jobs.check_input_files(job, open_gate(tmp_path))
    message = str(error.value)
    assert message.startswith(f"Input 'reads': {tmp_path}/reads.fasta is not there")
    assert f"Did you mean {tmp_path}/reads.fastq?" in message


def test_files_that_are_there_or_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "a b").touch()
    jobs.check_input_files(
        {
            "here": {"class": "File", "location": (tmp_path / "a b").as_uri()},
            "folder": {"class": "Directory", "path": str(tmp_path)},
            "web": {"class": "File", "location": "https://example.org/a"},
            "literal": {"class": "File", "basename": "a", "contents": "/not/there"},
            "text": "/not/there",
        },
        open_gate(tmp_path),
    )


def test_a_folder_below_a_file_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermissionError, match="outputs_folder"):
        jobs.check_folder_writable("outputs_folder", str(tmp_path / "file" / "outputs"))
    jobs.check_folder_writable("outputs_folder", str(tmp_path / "new" / "outputs"))
