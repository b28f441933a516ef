"""The tests of a suite in cwltest's format, and which of them are chosen."""

from __future__ import annotations

from pathlib import Path

import pytest
from cwl_airflow.conformance.suite import SuiteError, SuiteTest, choose, read_suite

PROJECT = Path(__file__).parents[3]
SUITE = """
- id: first
  doc: |
    Runs
    a tool.
  tool: documents/a%20b.cwl#main
  job: jobs/a.yml
  output: {out: {class: File, location: a.txt}}
  tags: [required]
- label: second
  doc: Fails.
  tool: documents/b.cwl
  should_fail: true
- doc: Has no name.
  tool: documents/b.cwl
  output: {}
"""


def write(folder: Path, text: str = SUITE) -> Path:
    for name in ("documents/a b.cwl", "documents/b.cwl", "jobs/a.yml"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("id: main", encoding="utf-8")
    (folder / "suite.yml").write_text(text, encoding="utf-8")
    return folder / "suite.yml"


def test_a_suite_is_read(tmp_path: Path) -> None:
    first, second, third = read_suite(write(tmp_path))
    assert (first.number, first.name, first.description) == (1, "first", "Runs a tool.")
    assert (first.document, first.process) == (tmp_path / "documents/a b.cwl", "main")
    assert first.job == tmp_path / "jobs/a.yml"
    assert first.output == {"out": {"class": "File", "location": "a.txt"}}
    assert (first.should_fail, first.tags) == (False, ("required",))
    assert (second.name, second.job, second.output, second.should_fail) == ("second", None, {}, True)
    assert (third.number, third.name, third.process) == (3, "Has no name.", "")


def test_the_projects_own_suite_is_read() -> None:
    tests = read_suite(PROJECT / "tests/conformance/suite.yaml")
    assert len(tests) > 200
    assert all(test.document.is_file() and test.job is not None for test in tests[:10])
    assert len({test.name for test in tests}) == len(tests)


@pytest.mark.parametrize("text", ["- [", "- tool: [1]\n", "- tool: gone.cwl\n  output: {}\n"])
def test_what_is_no_suite_is_said_in_a_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(SuiteError) as raised:
        read_suite(write(tmp_path, text))
    assert "is no suite in cwltest's format: " in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_document_of_the_net_is_not_tested() -> None:
    with pytest.raises(SuiteError, match=r"Test 7 of the suite: https://example.org/a.cwl is no file"):
        SuiteTest.of(7, {"tool": "https://example.org/a.cwl"})


def test_a_suite_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="is no file"):
        read_suite(tmp_path / "none.yml")


@pytest.mark.parametrize(
    ("wanted", "found"), [(None, [1, 2, 3]), ("3,1", [1, 3]), ("1-2, 2", [1, 2]), ("2-2", [2]), ("1-3", [1, 2, 3])]
)
def test_tests_are_chosen_by_number(tmp_path: Path, wanted: str | None, found: list[int]) -> None:
    assert [test.number for test in choose(read_suite(write(tmp_path)), wanted)] == found


@pytest.mark.parametrize("wanted", ["", "x", "0", "4", "2-1", "1-4", "1,,2", "1-2-3", "-1", "²"])
def test_numbers_of_no_tests_are_refused(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(SuiteError, match=r"1,3-6,9|which has the tests 1 to 3"):
        choose(read_suite(write(tmp_path)), wanted)
