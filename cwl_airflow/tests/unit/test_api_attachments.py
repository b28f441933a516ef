"""The files that come with a workflow."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.api.attachments import check_document, check_path, placed, save
from hypothesis import given
from hypothesis import strategies as st


class Upload:
    """A file of a request."""

    def __init__(self, filename: str | None, content: bytes = b"content") -> None:
        """Say what it is."""
        self.filename = filename
        self._content = io.BytesIO(content)

    def save(self, stream: Any) -> None:
        """Write it."""
        stream.write(self._content.read())


def test_attachments_lie_in_the_folder_of_their_run_under_their_names(tmp_path: Path) -> None:
    names = ["main.cwl", "tools/sort it.cwl", "tools/größe.cwl", "job.json", "..x", "x..", "-x", "😀"]
    save([Upload(name, name.encode()) for name in names], tmp_path / "run")
    found = {str(file.relative_to(tmp_path / "run")) for file in tmp_path.rglob("*") if file.is_file()}
    assert found == set(names)
    assert all((tmp_path / "run" / name).read_bytes() == name.encode() for name in names)


@pytest.mark.parametrize(
    "name",
    [
        *(None, "", ".", "..", "/", "/etc/passwd", "../x", "a/../x", "a/..", "a//b", "a/", "./a", "a\0b", "a\nb"),
        *("\x7f", "\ud800", "x" * 256, "x/" * 600 + "x"),
    ],
)
def test_a_name_that_is_no_path_below_is_refused(tmp_path: Path, name: str | None) -> None:
    with pytest.raises(ValueError, match="workflow_attachment") as refusal:
        save([Upload("main.cwl"), Upload(name)], tmp_path / "run")
    assert str(refusal.value).isprintable()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b/c", "a/b")])
def test_attachments_do_not_stand_in_each_others_way(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="given twice, or is a folder"):
        save(map(Upload, names), tmp_path / "run")
    assert not list(tmp_path.iterdir())


@given(st.text())
def test_whatever_its_name_an_attachment_is_below_the_folder(name: str) -> None:
    try:
        path = check_path(name)
    except ValueError:
        return
    assert Path("/folder") in (Path("/folder") / path).parents
    assert ".." not in Path(path).parts


def test_the_workflow_is_one_of_the_attachments() -> None:
    assert check_document("a.cwl#main", ["a.cwl"]) == "a.cwl#main"
    for url in ("", "b.cwl", "/etc/passwd", "../a.cwl", "http://127.0.0.1/a.cwl", "file:///a.cwl", "#main"):
        with pytest.raises(ValueError, match="must name one of the files"):
            check_document(url, ["a.cwl"])


def test_relative_files_of_a_job_are_attachments() -> None:
    job = {
        "a": {"class": "File", "path": "in/a b.txt"},
        "b": [{"class": "File", "location": "in/b%20c.txt", "secondaryFiles": [{"class": "File", "location": "d"}]}],
        "c": {"class": "Directory", "location": "x", "listing": [{"class": "File", "path": "/data/e"}]},
        "d": [{"class": "File", "location": "https://example.org/f"}, {"class": "File", "location": "file:///data/g"}],
        "e": {"class": "File", "contents": "text", "basename": "h"},
        "f": {"path": "no file"},
        "g": 1,
    }
    assert placed(job, Path("/run")) == {
        "a": {"class": "File", "path": "/run/in/a b.txt"},
        "b": [
            {
                "class": "File",
                "location": "file:///run/in/b%20c.txt",
                "secondaryFiles": [{"class": "File", "location": "file:///run/d"}],
            }
        ],
        "c": {
            "class": "Directory",
            "location": "file:///run/x",
            "listing": [{"class": "File", "path": "/data/e"}],
        },
        "d": job["d"],
        "e": job["e"],
        "f": job["f"],
        "g": 1,
    }
