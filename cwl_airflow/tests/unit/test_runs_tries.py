"""What a try of a task knows of the one before."""

from __future__ import annotations

from pathlib import Path

import pytest
from cwl_airflow.runs.layout import RunLayout
from cwl_airflow.runs.tries import Try, begin_try, describe_try, fail_try, read_try


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return RunLayout(tmp_path).last_try("step", -1)


def test_the_first_try_has_none_before_it(file: Path) -> None:
    begun, before = begin_try(file, 1, 1)
    assert (begun.number, begun.failures, before) == (1, 0, None)
    assert read_try(file) == begun


def test_a_try_that_was_killed_noted_no_end(file: Path) -> None:
    first, _ = begin_try(file, 1, 1)
    second, before = begin_try(file, 2, 1)
    assert before == first
    assert second.failures == 0
    said = describe_try(first)
    assert said.startswith(f"Try 1 of this task was lost: its process on {first.host}, begun at 20")
    assert "without a word" in said


def test_failures_by_what_a_task_does_are_counted_alone(file: Path) -> None:
    for number, lost, failures in ((1, True, 0), (2, False, 1), (3, True, 1), (4, False, 2)):
        begun, before = begin_try(file, number, 1)
        assert (before.number if before else 0) == number - 1
        failed = fail_try(file, begun, "why", lost)
        assert failed.failures == failures
        assert describe_try(failed).startswith(f"Try {number} of this task {'was lost' if lost else 'failed'} on ")
        assert describe_try(failed).endswith(" UTC: why")


def test_what_was_before_a_task_was_cleared_does_not_count(file: Path) -> None:
    fail_try(file, begin_try(file, 1, 1)[0], "why", lost=False)
    begun, before = begin_try(file, 2, 2)
    assert (begun.failures, before) == (0, None)


def test_a_run_that_was_begun_again_has_no_try_from_later(file: Path) -> None:
    begin_try(file, 3, 1)
    assert begin_try(file, 1, 1)[1] is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"number": 1}', '{"number": 1, "more": 2}', "\ud800"])
def test_a_note_that_is_spoilt_is_none(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode(errors="surrogatepass"))
    assert read_try(file) is None
    assert begin_try(file, 2, 1)[1] is None


def test_tasks_of_one_step_have_notes_of_their_own(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path)
    files = {layout.last_try("step", -1), layout.last_try("step", 0), layout.last_try("step", 1)}
    for number, file in enumerate(files, 1):
        begin_try(file, number, 1)
    assert sorted(noted.number for file in files if (noted := read_try(file))) == [1, 2, 3]


def test_a_try_is_described_whatever_it_has() -> None:
    assert describe_try(Try(1, "here", 0.5)).count("1970-01-01 00:00:00 UTC") == 1
