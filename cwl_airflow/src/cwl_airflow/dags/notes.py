"""A failed run says on its page why: its note gets the line that each failed task pushed (a listener of Airflow).

Source: https://airflow.apache.org/docs/apache-airflow/3.3.2/administration-and-deployment/listeners.html
"""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl

from ..strict_json import storable

#: Under which key a failed task pushes its error in a line.
ERROR = "error"
#: How a note begins that is written here; any other one is somebody's, and stays.
BEGIN = "Failed: "
#: Characters of a note, which Airflow's database does not take more of, and lines of failed tasks in it.
LONGEST, MOST_LINES = 1000, 3


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """Note why a run failed."""
    if _is_ours(dag_run, or_none=True) and (lines := failure_lines(dag_run)):
        dag_run.note = note_text(lines)


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:
    """Take the note back of a run that goes on after a task was cleared."""
    _forget(dag_run)


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """Take the note back of a run that succeeded after all."""
    _forget(dag_run)


def _forget(dag_run: Any) -> None:
    if _is_ours(dag_run, or_none=False):
        dag_run.dag_run_note = None


def _is_ours(dag_run: Any, or_none: bool) -> bool:
    """Tell whether the note of a run was written here, and by nobody.

    :param or_none: whether it counts that there is none.
    """
    from sqlalchemy.orm import object_session

    if object_session(dag_run) is None:  # a run of a test of a DAG
        return False
    note = dag_run.dag_run_note
    if note is None or not note.content:
        return or_none
    return note.user_id is None and str(note.content).startswith(BEGIN)


def failure_lines(dag_run: Any) -> list[str]:
    """Return for each failed task of a CWL run, in the order in which they failed, what failed and why.

    :param dag_run: Airflow's, of a session.
    """
    return [line for _, _, line in failed_tasks(dag_run)]


def failed_tasks(dag_run: Any) -> list[tuple[str, int, str]]:
    """Return the failed tasks of a CWL run, in the order in which they failed: id, number, and what failed and why.

    :param dag_run: Airflow's, of a session.
    """
    from airflow.models import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import and_, select
    from sqlalchemy.orm import object_session

    said = and_(
        XComModel.dag_id == TaskInstance.dag_id,
        XComModel.run_id == TaskInstance.run_id,
        XComModel.task_id == TaskInstance.task_id,
        XComModel.map_index == TaskInstance.map_index,
        XComModel.key == ERROR,
    )
    rows = (
        select(TaskInstance.task_id, TaskInstance.map_index, TaskInstance.operator, XComModel.value)
        .outerjoin(XComModel, said)
        .where(
            TaskInstance.dag_id == dag_run.dag_id, TaskInstance.run_id == dag_run.run_id, TaskInstance.state == "failed"
        )
        .order_by(TaskInstance.end_date)
    )
    session: Any = object_session(dag_run)
    return [
        (task, number, value if isinstance(value, str) else f"{task}: its log says why")
        for task, number, operator, value in session.execute(rows)
        if isinstance(value, str) or str(operator).startswith("CWL")
    ]


def note_text(lines: list[str]) -> str:
    """Return the note of a run.

    :param lines: of its failed tasks.
    """
    from .page import as_code

    shown = BEGIN + "\n\n".join(as_code(storable(line) or "it says nothing") for line in lines[:MOST_LINES])
    more = f"\n\nand {len(lines) - MOST_LINES} more." if len(lines) > MOST_LINES else ""
    return shown[: LONGEST - len(more)] + more
