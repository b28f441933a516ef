"""A run's rows in Airflow's database. Airflow's own ways to mark a run as failed need its DAG, which may be gone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from airflow.models import DagRun, TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from airflow.utils.retries import retry_db_transaction
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State, TaskInstanceState
from sqlalchemy import Text, delete, select, type_coerce
from sqlalchemy.orm import Session

from ..gate.job import FOLDERS
from .model import JobFolders, RunRows, StartedTask

#: States of a try that was not started, whatever its row still says of the try before.
UNSTARTED_STATES = (
    None,
    TaskInstanceState.SCHEDULED,
    TaskInstanceState.QUEUED,
    TaskInstanceState.UPSTREAM_FAILED,
)


def mark_failed(dag_id: str, run_id: str) -> RunRows | None:
    """Mark what has not ended of a run as failed, so that nothing of it is started; none if there is no such run."""

    @retry_db_transaction
    def mark(session: Session) -> RunRows | None:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None:
            return None
        if run.state not in State.finished_dr_states:
            run.set_state(DagRunState.FAILED)
        # Locked, as Airflow does when it starts one.
        query = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        tasks = session.scalars(query.with_for_update(of=TaskInstance)).all()
        earlier_tries = find_earlier_tries(session, dag_id, run_id)
        unsure = find_unsure(tasks, earlier_tries)
        for row in tasks:
            if row.state not in State.finished:
                # One that was started is found again as unsure when the run is stopped again.
                started = row.state not in UNSTARTED_STATES
                row.set_state(TaskInstanceState.FAILED if started else TaskInstanceState.SKIPPED, session=session)
        session.commit()
        job, reports = keep_folders((run.conf or {}).get("job")), find_reports(session, dag_id, run_id)
        task_instances = [str(row.id) for row in tasks] + [str(row.id) for row in earlier_tries]
        return RunRows(unsure, job, reports, task_instances)

    with create_session() as session:
        return mark(session)


def find_earlier_tries(session: Session, dag_id: str, run_id: str) -> list[TaskInstanceHistory]:
    """Return the earlier tries of the tasks of a run: one that was cleared while it ran may not have ended."""
    model = TaskInstanceHistory
    return list(session.scalars(select(model).where(model.dag_id == dag_id, model.run_id == run_id)))


def find_unsure(tasks: Iterable[TaskInstance], earlier_tries: Iterable[TaskInstanceHistory]) -> list[StartedTask]:
    """Return the tries that were started and did not succeed."""
    started = [row for row in tasks if row.state not in UNSTARTED_STATES]
    tries: list[TaskInstance | TaskInstanceHistory] = [*started, *earlier_tries]
    return [
        StartedTask(
            row.task_id if row.map_index < 0 else f"{row.task_id} [{row.map_index}]",
            row.hostname,
            row.external_executor_id,
        )
        for row in tries
        if row.hostname and row.state not in State.success_states
    ]


def keep_folders(job: Any) -> JobFolders:
    """Return what of a job is needed to know its folders."""
    if isinstance(job, Mapping):
        return {name: job[name] for name in FOLDERS if job.get(name)}
    return job if isinstance(job, str) else None


def find_reports(session: Session, dag_id: str, run_id: str) -> list[str]:
    """Return the paths of the files that the tasks of a run returned: their reports."""
    found = set()
    returned = (XComModel.dag_id == dag_id, XComModel.run_id == run_id, XComModel.key == XCOM_RETURN_KEY)
    # As they are stored: what a user's task returned need not be readable here.
    for stored in session.scalars(select(type_coerce(XComModel.value, Text)).where(*returned)):
        with suppress(TypeError, ValueError, RecursionError):
            value = json.loads(stored)
            if isinstance(value, str) and value.startswith("/") and value.endswith(".json"):
                found.add(value)
    return sorted(found)


def remove_run(dag_id: str, run_id: str) -> None:
    """Remove a run with what depends on it, as Airflow's REST API does. Its DAG stays."""

    @retry_db_transaction
    def delete_rows(session: Session) -> None:
        session.execute(delete(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        session.commit()

    with create_session() as session:
        delete_rows(session)
