"""Why a run failed stands in its note."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rows
from airflow.listeners.listener import get_listener_manager
from airflow.models import DagRun
from airflow.utils.session import create_session
from cwl_airflow.dags import notes

pytestmark = pytest.mark.usefixtures("clean_database")


def notify(state: str) -> str | None:
    """Let Airflow say that the run is in a state now, and return the note of the run."""
    hook = get_listener_manager().hook
    hooks = {"failed": hook.on_dag_run_failed, "running": hook.on_dag_run_running, "success": hook.on_dag_run_success}
    with create_session() as session:
        (run,) = DagRun.find(run_id=rows.RUN, session=session)
        hooks[state](dag_run=run, msg="")
    with create_session() as session:
        (run,) = DagRun.find(run_id=rows.RUN, session=session)
        note: str | None = run.note
    return note


def fail(task: str, line: Any = None, end: float = 2, **more: Any) -> None:
    rows.add_task(task, "failed", 1, end, **more)
    if line is not None:
        rows.push(task, notes.ERROR, line)


def test_airflow_knows_the_listener(clean_database: Path) -> None:
    assert notes in get_listener_manager().pm.get_plugins()


def test_a_failed_run_says_why_until_it_goes_on() -> None:
    rows.add_run()
    fail("second", "second: 'sh' exit status 3: no\n such `file`", end=5)
    fail("first", "first: 'sh' exit status 1", end=3)
    rows.add_task("fine", "success", 1, 2)
    said = "Failed: `first: 'sh' exit status 1`\n\n`` second: 'sh' exit status 3: no such `file` ``"
    assert notify("failed") == said
    assert notify("failed") == said
    assert notify("running") is None
    assert notify("failed") == said
    assert notify("success") is None


def test_a_task_without_a_word_is_named() -> None:
    rows.add_run()
    fail("killed")
    fail("of something else", operator="BashOperator")
    assert notify("failed") == "Failed: `killed: its log says why`"


@pytest.mark.parametrize("note", ["mine", "Failed: bad reagent"])
@pytest.mark.parametrize("state", ["failed", "running", "success"])
def test_what_somebody_noted_stays_whatever_it_is_like(state: str, note: str) -> None:
    rows.add_run()
    fail("first", "first: no")
    with create_session() as session:
        (run,) = DagRun.find(run_id=rows.RUN, session=session)
        run.note = (note, "7")
    assert notify(state) == note


def test_a_run_of_no_session_is_left_alone() -> None:
    run = DagRun("a", "b")
    for hook in (notes.on_dag_run_failed, notes.on_dag_run_running, notes.on_dag_run_success):
        hook(dag_run=run, msg="")


@pytest.mark.parametrize(
    ("line", "shown"),
    [("a", "`a`"), ("a `b`", "`` a `b` ``"), ("`` ![x](y) ``", "``` `` ![x](y) `` ```"), ("", "`it says nothing`"),
     ("\ud800", "`?`")],
)  # fmt: skip
def test_a_line_is_shown_as_it_is(line: str, shown: str) -> None:
    assert notes.note_text([line]) == notes.BEGIN + shown


@pytest.mark.parametrize("state", ["failed", "running", "success"])
def test_a_run_in_which_no_task_of_cwl_failed_gets_no_note(state: str) -> None:
    rows.add_run()
    fail("of something else", operator="BashOperator")
    assert notify(state) is None


def test_a_note_is_not_longer_than_airflow_takes() -> None:
    rows.add_run()
    for number in range(9):
        fail(f"task{number}", f"task{number}: {500 * 'ä'}", end=number + 2)
    note = notify("failed") or ""
    assert len(note) == notes.LONGEST
    assert note.endswith("\n\nand 6 more.")
