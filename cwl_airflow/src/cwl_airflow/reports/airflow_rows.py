"""Read in Airflow's database what it knows of runs of CWL documents."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from airflow.models import DagRun, TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from airflow.sdk.execution_time.xcom import XCom
from sqlalchemy.engine import Row
from sqlalchemy.orm import Session
from sqlalchemy.sql import Select

from ..dags.notes import ERROR
from ..dags.operators import OPERATORS, RESULTS
from ..documents.plan import GATHERER, OUTPUTS_REPORT, STATISTICS
from .events import ReportedRun, TaskKey, TaskTry
from .outbox import split_into_chunks

log = logging.getLogger(__name__)

ACTIVE_RUN_STATES = ("queued", "running")

_RUN_COLUMNS: tuple[Any, ...] = (
    DagRun.id,
    DagRun.dag_id,
    DagRun.run_id,
    # A run need not have the first one.
    sa.func.coalesce(DagRun.logical_date, DagRun.run_after).label("logical_date"),
    DagRun._state.label("state"),
    DagRun.clear_number,
    DagRun.queued_at,
    DagRun.end_date,
)
_TRY_COLUMNS = ("task_id", "map_index", "try_number", "state", "start_date", "end_date", "max_tries")


def select_runs(*conditions: Any) -> Select[Any]:
    """Return the query for runs under some conditions."""
    return sa.select(*_RUN_COLUMNS).where(*conditions)


def find_newest_run_id(session: Session) -> int:
    """Return the id of the newest run; 0 if there is none."""
    return session.scalar(sa.select(sa.func.max(DagRun.id))) or 0


def make_reported_run(row: Row[Any]) -> ReportedRun:
    """Return the run that a row of `select_runs` is about."""
    return ReportedRun(
        row.id,
        row.dag_id,
        row.run_id,
        row.logical_date.isoformat(),
        row.state,
        row.clear_number,
        row.queued_at,
        row.end_date,
    )


def is_cwl_run(session: Session, run: Row[Any]) -> bool | None:
    """Tell whether a run is of a CWL document: then it has a task that only these have; none while it has no task."""
    query = sa.select(TaskInstance.operator).where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
    operators = set(session.scalars(query.distinct()))
    return not operators.isdisjoint(OPERATORS) if operators else None


def count_task_states(session: Session, dag_run_ids: Iterable[int]) -> dict[int, list[tuple[Any, ...]]]:
    """Return of each run how many tasks are in which state, which changes with every change of one."""
    counts: dict[int, list[tuple[Any, ...]]] = {}
    for chunk in split_into_chunks(dag_run_ids):
        query = (
            sa.select(DagRun.id, TaskInstance.state, sa.func.count(), sa.func.sum(TaskInstance.try_number))
            .select_from(DagRun)
            .join(TaskInstance, sa.and_(TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id))
            .where(DagRun.id.in_(chunk))
            .group_by(DagRun.id, TaskInstance.state)
            .order_by(DagRun.id, TaskInstance.state)
        )
        for dag_run_id, *state_counts in session.execute(query):
            counts.setdefault(dag_run_id, []).append(tuple(state_counts))
    return counts


def read_tasks(session: Session, run: ReportedRun) -> list[TaskTry]:
    """Return the tasks of a run as they are."""
    return _read_tries(session, run, TaskInstance)


def read_task_history(session: Session, run: ReportedRun) -> list[TaskTry]:
    """Return the earlier tries of the tasks of a run."""
    return _read_tries(session, run, TaskInstanceHistory)


def _read_tries(session: Session, run: ReportedRun, model: type[TaskInstance | TaskInstanceHistory]) -> list[TaskTry]:
    columns = [getattr(model, name) for name in _TRY_COLUMNS]
    query = sa.select(*columns).where(model.dag_id == run.dag_id, model.run_id == run.run_id)
    return [
        TaskTry(row.task_id, row.map_index, row.try_number or 0, row.state, row.start_date, row.end_date, row.max_tries)
        for row in session.execute(query)
    ]


def read_errors(session: Session, run: ReportedRun) -> dict[TaskKey, str]:
    """Return what failed tasks of a run said."""
    return _read_pushed_values(session, run, ERROR)


def read_results(session: Session, run: ReportedRun) -> dict[str, Any]:
    """Return the outputs of a run: from XCom, or else from the file that a gatherer names, if it can be seen here."""
    for pushed in _read_pushed_values(session, run, RESULTS).values():
        if isinstance(pushed, dict):
            return pushed
    for (task_id, _), path in _read_pushed_values(session, run, XCOM_RETURN_KEY).items():
        if isinstance(path, str) and (task_id == GATHERER or Path(path).name == OUTPUTS_REPORT):
            try:
                outputs = json.loads(Path(path).read_text(encoding="utf-8"))
                outputs.pop(STATISTICS, None)
                return dict(outputs)
            except (OSError, ValueError, AttributeError, TypeError) as error:
                log.warning("The results of run %s of %s cannot be read: %s", run.run_id, run.dag_id, error)
    return {}


def _read_pushed_values(session: Session, run: ReportedRun, key: str) -> dict[TaskKey, Any]:
    """Return what tasks of a run pushed under a key of XCom."""
    query = sa.select(XComModel.task_id, XComModel.map_index, XComModel.value)
    query = query.where(XComModel.dag_run_id == run.id, XComModel.key == key)
    values: dict[TaskKey, Any] = {}
    for row in session.execute(query):
        try:
            values[row.task_id, row.map_index] = XCom.deserialize_value(row)
        except Exception as error:  # a user's task may return what cannot be loaded here
            log.warning("What %s of run %s of %s pushed cannot be read: %s", row.task_id, run.run_id, run.dag_id, error)
    return values
