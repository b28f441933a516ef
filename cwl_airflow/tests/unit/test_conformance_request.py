"""What the CWL API is sent for a test: its files lie to each other as in the suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.conformance.request import SuiteRequest, make_request
from cwl_airflow.conformance.suite import SuiteTest, read_suite

PROJECT = Path(__file__).parents[3]


def make(folder: Path, files: dict[str, str], process: str = "", job: bool = True) -> SuiteRequest:
    """Return the request for a test whose document is ``docs/a.cwl``.

    :param files: their contents by path.
    """
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    test = SuiteTest(1, "a", "a", folder / "docs/a.cwl", process, folder / "jobs/a.yml" if job else None, {}, False)
    return make_request(test)


def names(request: SuiteRequest) -> set[str]:
    return set(request.files)


def test_a_document_alone(tmp_path: Path) -> None:
    request = make(tmp_path, {"docs/a.cwl": "class: CommandLineTool"}, process="main", job=False)
    assert request == SuiteRequest("suite/a.cwl#main", {"suite/a.cwl": tmp_path / "docs/a.cwl"}, {})


def test_what_a_document_refers_to_comes_along(tmp_path: Path) -> None:
    document = """
steps: {one: {run: sub/b.cwl#main}, two: {run: "#own"}, three: {run: https://example.org/c.cwl}, four: {run: gone.cwl}}
$schemas: [formats.ttl, https://example.org/edam.owl]
requirements:
  - class: InlineJavascriptRequirement
    expressionLib: [{$include: lib.js}]
  - $import: types.yml
inputs: {file: {default: {class: File, path: default.txt}}}
"""
    files = {
        "docs/a.cwl": document,
        "docs/sub/b.cwl": "steps: [{run: {$import: ../c.cwl}}, {run: ../a.cwl}]",
        "docs/c.cwl": "not: [YAML",
        "docs/formats.ttl": "",
        "docs/lib.js": "",
        "docs/types.yml": "a",
        "docs/default.txt": "",
        "docs/other.cwl": "",
    }
    request = make(tmp_path, files, job=False)
    found = {"a.cwl", "sub/b.cwl", "c.cwl", "formats.ttl", "lib.js", "types.yml", "default.txt"}
    assert names(request) == {f"suite/{name}" for name in found}


def job(tmp_path: Path, text: str, *more: str) -> SuiteRequest:
    return make(tmp_path, {"docs/a.cwl": "class: Workflow", "jobs/a.yml": text, **dict.fromkeys(more, "")})


@pytest.mark.parametrize(
    ("given", "name", "location"),
    [
        ("path: ../data/a.txt", "data/a.txt", "suite/data/a.txt"),
        ("location: ../data/a.txt", "data/a.txt", "suite/data/a.txt"),
        ('path: "../data/hash#mark.txt"', "data/hash#mark.txt", "suite/data/hash%23mark.txt"),
        ("location: ../data/hash%23mark.txt", "data/hash#mark.txt", "suite/data/hash%23mark.txt"),
        ('path: "../data/a:b.txt"', "data/a:b.txt", "suite/data/a%3Ab.txt"),
        ('path: "../data/100%20.txt"', "data/100%20.txt", "suite/data/100%2520.txt"),
        ("location: ../data/gr%C3%B6%C3%9Fe.txt", "data/größe.txt", "suite/data/gr%C3%B6%C3%9Fe.txt"),
    ],
)
def test_inputs_are_where_the_request_has_them(tmp_path: Path, given: str, name: str, location: str) -> None:
    request = job(tmp_path, f"file: {{class: File, {given}}}", name)
    assert request.job == {"file": {"class": "File", "location": location}}
    assert names(request) == {"suite/docs/a.cwl", f"suite/{name}"}


def test_absolute_inputs(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    file = tmp_path / "other/a b.txt"
    file.touch()
    request = job(tmp_path, f"[{{class: File, path: {file}}}]".join(["x: ", ""]))
    assert request.job == {"x": [{"class": "File", "location": "suite/other/a%20b.txt"}]}
    request = job(tmp_path, f"x: {{class: File, location: '{file.as_uri()}'}}")
    assert request.job == {"x": {"class": "File", "location": "suite/other/a%20b.txt"}}


def test_files_that_patterns_may_name_come_along(tmp_path: Path) -> None:
    more = ["data/reads.bam", "data/reads.bam.bai", "data/reads.idx", "data/reads_dir/x", "data/others.bam"]
    request = job(tmp_path, "reads: {class: File, path: ../data/reads.bam}", *more)
    assert names(request) == {"suite/docs/a.cwl", *(f"suite/{name}" for name in more[:-1])}


def test_folders_come_with_what_is_in_them(tmp_path: Path) -> None:
    text = "folder: {class: Directory, path: ../data/tree, listing: [{class: File, path: ../data/a.txt}]}"
    request = job(tmp_path, text, "data/tree/b/c.txt", "data/a.txt")
    assert names(request) == {"suite/docs/a.cwl", "suite/data/tree/b/c.txt", "suite/data/a.txt"}
    listing = [{"class": "File", "location": "suite/data/a.txt"}]
    assert request.job == {"folder": {"class": "Directory", "location": "suite/data/tree", "listing": listing}}


def test_what_is_no_file_here_stays_as_it_is(tmp_path: Path) -> None:
    text = (
        "a: {class: File, path: gone.txt}\nb: {class: File, location: https://example.org/a}\n"
        "c: {class: File, contents: x, basename: y}\nd: 1.50\ne: [true, null, x]\n"
    )
    expected: dict[str, Any] = {
        "a": {"class": "File", "path": "gone.txt"},
        "b": {"class": "File", "location": "https://example.org/a"},
        "c": {"class": "File", "contents": "x", "basename": "y"},
        "d": 1.5,
        "e": [True, None, "x"],
    }
    assert job(tmp_path, text).job == expected


def test_a_document_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make(tmp_path, {}, job=False)


def test_a_job_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no object"):
        job(tmp_path, "[]")


@pytest.mark.full
def test_all_of_the_projects_own_suite_can_be_sent() -> None:
    for test in read_suite(PROJECT / "tests/conformance/suite.yaml"):
        request = make_request(test)
        assert request.document.partition("#")[0] in request.files
        assert len(request.files) < 30
