"""A run's rows in Airflow's database. Airflow's own ways to mark a run as failed need its DAG, which may be gone."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from airflow.jobs.job import Job, JobState
from airflow.models import DagRun, TaskInstance, XCom
from airflow.utils.retries import retry_db_transaction
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State, TaskInstanceState
from airflow.utils.xcom import XCOM_RETURN_KEY
from sqlalchemy import delete, select

from ..gate.job import FOLDERS
from .coordinator import Rows, Task


def mark_failed(dag_id: str, run_id: str) -> Rows | None:
    """Mark what has not ended of a run as failed, so that nothing of it is started; none if there is no such run."""

    @retry_db_transaction  # type: ignore[untyped-decorator]
    def mark(session: Any) -> Rows | None:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None:
            return None
        if run.state not in State.finished_dr_states:
            run.set_state(DagRunState.FAILED)
        query = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        unsure = []
        for row in session.scalars(query):
            name = row.task_id if row.map_index < 0 else f"{row.task_id} [{row.map_index}]"
            if row.hostname and row.state not in State.success_states:
                unsure.append(Task(name, row.hostname, row.job_id))
            if row.state not in State.finished:
                # One that began is found again as unsure when the run is stopped again.
                row.set_state(TaskInstanceState.FAILED if row.hostname else TaskInstanceState.SKIPPED, session=session)
        session.commit()
        return Rows(unsure, folders_of((run.conf or {}).get("job")), _reports(dag_id, run_id, session))

    with create_session() as session:
        return mark(session)  # type: ignore[no-any-return]


def folders_of(job: Any) -> Any:
    """Return what of a job is needed to know its folders."""
    if isinstance(job, Mapping):
        return {name: job[name] for name in FOLDERS if job.get(name)}
    return job if isinstance(job, str) else None


def _reports(dag_id: str, run_id: str, session: Any) -> list[str]:
    found = set()
    of_run = (XCom.dag_id == dag_id, XCom.run_id == run_id, XCom.key == XCOM_RETURN_KEY)
    # As they are stored: what a user's task returned need not be readable here.
    for stored in session.scalars(select(XCom.value).where(*of_run)):
        with suppress(TypeError, ValueError):
            value = json.loads(stored)
            if isinstance(value, str) and value.startswith("/") and value.endswith(".json"):
                found.add(value)
    return sorted(found)


def ended(job_ids: Collection[int]) -> set[int]:
    """Return the jobs that have ended, of those that wait for tasks."""
    with create_session() as session:
        running = select(Job.id).where(Job.id.in_(job_ids), Job.state.in_([JobState.RUNNING, JobState.RESTARTING]))
        return set(job_ids) - set(session.scalars(running))


def remove(dag_id: str, run_id: str) -> None:
    """Remove a run with what depends on it, as Airflow's REST API does. Its DAG stays."""

    @retry_db_transaction  # type: ignore[untyped-decorator]
    def remove_run(session: Any) -> None:
        session.execute(delete(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        session.commit()

    with create_session() as session:
        remove_run(session)
