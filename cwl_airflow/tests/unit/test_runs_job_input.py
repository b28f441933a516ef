"""Jobs that cannot run are refused in words that name what to change."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.gate import Refused
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
    ("job", "message"),
    [
        ({"threads": 1}, "Input 'reads' is missing. The job gives: threads."),
        ({"Reads": 1}, "Input 'Reads' is not one of the workflow's. Did you mean 'reads'?"),
        ({"reads": 1, "thread": 1}, "Input 'thread' is not one of the workflow's. Did you mean 'threads'?"),
        ({"reads": None}, "Input 'reads' is missing. The job gives: reads."),
        ({}, "Input 'reads' is missing. The job gives: nothing."),
        ({"threads": 1, "name": "y"}, "Input 'reads' is missing. The job gives: name, threads."),
        ({"my:reads": 1}, "Input 'reads' is missing. The job gives: my:reads."),
        ({"reads": {"class": 1}}, "Input 'reads': a 'class' must be File or Directory."),
    ],
)
def test_names(job: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        jobs.check_input_names(job, INPUTS)
    assert str(error.value).strip() == message


@pytest.mark.parametrize(
    "job",
    [
        {"reads": 1, "extra": 3},
        {"reads": 1, "threads": 2, "name": "y", "extra": 3},
        {
            "reads": 1,
            "extra": False,
            "something": "of a tool that is not ours",
            "id": "x",
            "outputs_folder": "y",
            "cwl:requirements": [],
        },
        {"reads": 1, "extra": 3, "threads": 2, "thread": 3},
        {"reads": 1, "extra": [], "id": "of nobody"},
    ],
)
def test_names_that_may_be(job: dict[str, Any]) -> None:
    jobs.check_input_names(job, INPUTS)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"outputs_folders": "string"}, "Input 'outputs_folders' is missing. The job gives: outputs_folder."),
        ({"list": {"type": "array", "items": "int"}}, "Input 'list' is missing. The job gives: outputs_folder."),
        ({"list": ["null", {"type": "array", "items": "int"}], "other": ["null", "Any"]}, ""),
        ({"any": "Any"}, "Input 'any' is missing. The job gives: outputs_folder."),
    ],
)
def test_which_inputs_must_be_given(parameters: dict[str, Any], message: str) -> None:
    inputs = [{"id": name, "type": kind} for name, kind in parameters.items()]
    try:
        jobs.check_input_names({"outputs_folder": "x"}, inputs)
    except ValueError as error:
        assert str(error) == message
    else:
        assert not message


def test_a_name_that_is_close_to_one_that_was_given_may_mean_the_missing_one() -> None:
    inputs = [{"id": "reads", "type": "File"}, {"id": "reads2", "type": "File"}]
    with pytest.raises(ValueError, match=r"^Input 'reads' is missing.* Did you mean 'reads2x'\?$"):
        jobs.check_input_names({"reads2": 1, "reads2x": 1}, inputs)


def test_anything_may_have_any_class() -> None:
    jobs.check_input_names({"extra": {"class": 1}}, [{"id": "extra", "type": "Any"}])


def test_folders_that_a_job_names(tmp_path: Path) -> None:
    gate = open_gate(tmp_path)
    job = {"tmp_folder": "/t", "outputs_folder": "o", "reads": "/r"}
    (tmp_path / "job.yml").write_text("tmp_folder: /t\noutputs_folder: o\nreads: /r\n", encoding="utf-8")
    (tmp_path / "list.yml").write_text("[tmp_folder]", encoding="utf-8")
    for given_job in (job, "job.yml", str(tmp_path / "job.yml"), (tmp_path / "job.yml").as_uri()):
        named = jobs.folders_named_by_job(given_job, str(tmp_path), gate)
        assert named == {"tmp_folder": "/t", "outputs_folder": "o"}
    for other in ({"tmp_folder": ""}, "missing.yml", "list.yml", "https://example.org/job.yml", ["tmp_folder"], None):
        assert jobs.folders_named_by_job(other, str(tmp_path), gate) == {}
    (tmp_path / "out.yml").symlink_to("/etc/hostname")
    with pytest.raises(Refused):
        jobs.folders_named_by_job("out.yml", str(tmp_path), gate)


@given(st.text(min_size=1), st.lists(st.text(min_size=1)))
def test_the_nearest_name_is_one_of_them(name: str, names: list[str]) -> None:
    assert jobs.nearest_name(name, names) in [None, *names]


@pytest.mark.parametrize(("name", "hint"), [("reads.fasta", " Did you mean {}/reads.fastq?"), ("x", "")])
@pytest.mark.parametrize("wrap", [list, lambda files: {"reads": files}])
def test_a_file_that_is_not_there(tmp_path: Path, name: str, hint: str, wrap: Any) -> None:
    (tmp_path / "reads.fastq").touch()
    good = {"class": "File", "location": (tmp_path / "reads.fastq").as_uri()}
    job = {"first": good, "second": wrap([good, {"class": "File", "location": (tmp_path / name).as_uri()}])}
    with pytest.raises(FileNotFoundError) as error:
        jobs.check_input_files(job, open_gate(tmp_path))
    assert str(error.value) == (
        f"Input 'second': {tmp_path}/{name} is not there, or not for this service to see.{hint.format(tmp_path)} "
        "Inputs belong into the inputs folder or into a folder of cwl_airflow_data_paths."
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"class": "File"}, "Input 'reads': a File must have 'location'"),
        ({"class": "File", "path": "/etc/hostname"}, "Input 'reads': /etc/hostname may not be read"),
        ({"class": "Directory", "path": "{}/folder"}, "Input 'reads': {}/folder/link may not be read"),
    ],
)
def test_a_file_that_may_not_be_read_is_told_with_its_input(tmp_path: Path, value: Any, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/link").symlink_to("/etc/hostname")
    value = {key: text.format(tmp_path) for key, text in value.items()}
    with pytest.raises(Refused) as error:
        jobs.check_input_files({"reads": value}, open_gate(tmp_path))
    assert str(error.value).startswith(message.format(tmp_path))


def deny(monkeypatch: pytest.MonkeyPatch, path: Path, kind: int) -> None:
    """Let a path seem closed: the tests may be those of root, to whom all is open."""
    monkeypatch.setattr(os, "access", lambda asked, mode: not (str(asked) == str(path) and mode & kind))


@pytest.mark.parametrize("kind", ["File", "Directory"])
def test_what_the_service_may_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = tmp_path / "reads"
    path.touch() if kind == "File" else path.mkdir()
    if kind == "Directory":  # it is not looked into either
        (path / "link").symlink_to("/etc/hostname")
    deny(monkeypatch, path, os.R_OK)
    with pytest.raises(PermissionError) as error:
        jobs.check_input_files({"a": {"class": kind, "path": str(path)}}, open_gate(tmp_path))
    user = pwd.getpwuid(os.getuid()).pw_name
    assert str(error.value) == (
        f"Input 'a': {path} may not be read by the user {user}: it is {user}'s, {stat.filemode(path.stat().st_mode)}. "
        "Let the group of the inputs folder read it (chgrp, chmod g+r)."
    )


@pytest.mark.parametrize("kind", [os.R_OK, os.X_OK])
def test_a_folder_that_cannot_be_listed_gives_no_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    (tmp_path / "reads.fastq").touch()
    deny(monkeypatch, tmp_path, kind)
    with pytest.raises(FileNotFoundError, match=r"see\. Inputs"):
        jobs.check_input_files({"a": {"class": "File", "path": str(tmp_path / "reads.fasta")}}, open_gate(tmp_path))


@pytest.mark.parametrize("kind", [os.W_OK, os.X_OK])
def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    deny(monkeypatch, tmp_path, kind)
    with pytest.raises(PermissionError) as error:
        jobs.check_folder_writable("outputs_folder", str(tmp_path / "a/b"))
    assert str(error.value) == (
        f"'outputs_folder': {tmp_path}/a/b may not be written. Leave it out to use the site's own folder, or open the "
        "folder with cwl_airflow_data_paths (writable: true)."
    )


def test_files_that_are_there_or_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "a b").touch()
    jobs.check_input_files(
        {
            "here": {"class": "File", "location": (tmp_path / "a b").as_uri()},
            "folder": {"class": "Directory", "path": str(tmp_path)},
            "web": {"class": "File", "location": "https://example.org/a"},
            "literal": {"class": "File", "basename": "a", "contents": "/not/there"},
            "text": "/not/there",
            "list": {"class": "Directory", "location": (tmp_path / "new").as_uri(), "listing": []},
        },
        open_gate(tmp_path),
    )


def test_a_folder_below_a_file_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermissionError, match="outputs_folder"):
        jobs.check_folder_writable("outputs_folder", str(tmp_path / "file" / "outputs"))
    jobs.check_folder_writable("outputs_folder", str(tmp_path / "new" / "outputs"))
