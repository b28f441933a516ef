"""A run's rows in Airflow's database. Airflow's own ways to mark a run as failed need its DAG, which may be gone."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from airflow.jobs.job import Job
from airflow.models import DagRun, TaskInstance, XCom
from airflow.utils.retries import retry_db_transaction
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, JobState, State, TaskInstanceState
from airflow.utils.xcom import XCOM_RETURN_KEY
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ..gate.job import FOLDERS
from .model import JobFolders, RunRows, StartedTask


def mark_failed(dag_id: str, run_id: str) -> RunRows | None:
    """Mark what has not ended of a run as failed, so that nothing of it is started; none if there is no such run."""

    @retry_db_transaction
    def mark(session: Session) -> RunRows | None:
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
                unsure.append(StartedTask(name, row.hostname, row.job_id))
            if row.state not in State.finished:
                # One that began is found again as unsure when the run is stopped again.
                row.set_state(TaskInstanceState.FAILED if row.hostname else TaskInstanceState.SKIPPED, session=session)
        session.commit()
        return RunRows(unsure, keep_folders((run.conf or {}).get("job")), find_reports(session, dag_id, run_id))

    with create_session() as session:
        return mark(session)


def keep_folders(job: Any) -> JobFolders:
    """Return what of a job is needed to know its folders."""
    if isinstance(job, Mapping):
        return {name: job[name] for name in FOLDERS if job.get(name)}
    return job if isinstance(job, str) else None


def find_reports(session: Session, dag_id: str, run_id: str) -> list[str]:
    """Return the paths of the files that the tasks of a run returned: their reports."""
    found = set()
    returned = (XCom.dag_id == dag_id, XCom.run_id == run_id, XCom.key == XCOM_RETURN_KEY)
    # As they are stored: what a user's task returned need not be readable here.
    for stored in session.scalars(select(XCom.value).where(*returned)):
        with suppress(TypeError, ValueError, RecursionError):
            value = json.loads(stored)
            if isinstance(value, str) and value.startswith("/") and value.endswith(".json"):
                found.add(value)
    return sorted(found)


def find_ended_jobs(job_ids: Collection[int]) -> set[int]:
    """Return those of some jobs, which wait for tasks, that have ended."""
    with create_session() as session:
        running = select(Job.id).where(Job.id.in_(job_ids), Job.state.in_([JobState.RUNNING, JobState.RESTARTING]))
        return set(job_ids) - set(session.scalars(running))


def remove_run(dag_id: str, run_id: str) -> None:
    """Remove a run with what depends on it, as Airflow's REST API does. Its DAG stays."""

    @retry_db_transaction
    def delete_rows(session: Session) -> None:
        session.execute(delete(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        session.commit()

    with create_session() as session:
        delete_rows(session)
