"""Rows of Airflow's database as its services write them, for tests."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, DagBag, sync_bag_to_db
from airflow.models import DagRun, TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from airflow.utils.types import DagRunType

#: What happens in a test happens after it has begun to look.
NOW = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(minutes=10)
DAG, RUN = "align", "first"
#: Airflow's name for the folder of the DAG files.
BUNDLE = "dags-folder"


def at(seconds: float) -> datetime:
    """Return a time so many seconds after a test has begun."""
    return NOW + timedelta(seconds=seconds)


def read_dag_files(folder: Path) -> None:
    """Read the DAG files below a folder as Airflow's dag-processor does."""
    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name=BUNDLE)
    assert not bag.import_errors
    _sync(bag)


def add_dag(dag: Any) -> None:
    """Add a DAG as if it had been read from a file."""
    bag = DagBag(collect_dags=False, bundle_name=BUNDLE)
    bag.bag_dag(dag)
    _sync(bag)


def _sync(bag: DagBag) -> None:
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, BUNDLE, None)


def add_run(run_id: str = RUN, dag_id: str = DAG, state: str = "running", **more: Any) -> int:
    """Add a run, and return its id.

    :param more: of its columns; ``run_after`` if there is no ``logical_date``.
    """
    with create_session() as session:
        date, ended = more.pop("logical_date", NOW), more.pop("end_date", None)
        after = more.pop("run_after", date or NOW)
        run = DagRun(dag_id, run_id, logical_date=date, run_after=after, run_type=DagRunType.MANUAL, **more)
        run._state, run.end_date, run.queued_at = state, ended, after
        session.add(run)
        session.flush()
        return int(run.id)


def change_run(run_id: str = RUN, **values: Any) -> None:
    """Change columns of a run."""
    with create_session() as session:
        columns = {"_state" if name == "state" else name: value for name, value in values.items()}
        session.query(DagRun).filter(DagRun.run_id == run_id).update(columns)


def end_run(state: str, seconds: float, run_id: str = RUN) -> None:
    """End a run."""
    change_run(run_id, state=state, end_date=at(seconds))


def add_task(
    task_id: str,
    state: str | None = None,
    start: float | None = None,
    end: float | None = None,
    run_id: str = RUN,
    **more: Any,
) -> None:
    """Add a task of a run; its tries are counted as Airflow does: from when it is queued."""
    began = state not in (None, "scheduled", "upstream_failed", "removed")
    values = {"dag_id": DAG, "map_index": -1, "try_number": int(began), "max_tries": 0, "operator": "CWLStepOperator"}
    values |= {"pool": "default_pool", "pool_slots": 1, "priority_weight": 1, "queue": "default"}
    values |= {"start_date": None if start is None else at(start), "end_date": None if end is None else at(end)}
    with create_session() as session:
        row = {"task_id": task_id, "run_id": run_id, "state": state, **values, **more}
        session.execute(sa.insert(TaskInstance).values(**row))


def change_task(task_id: str, run_id: str = RUN, **values: Any) -> None:
    """Change columns of a task."""
    values = {name: at(value) if name.endswith("_date") else value for name, value in values.items()}
    with create_session() as session:
        session.execute(
            sa.update(TaskInstance)
            .where(TaskInstance.task_id == task_id, TaskInstance.run_id == run_id)
            .values(**values)
            .execution_options(synchronize_session=False)
        )


def find_tasks(session: Any, run_id: str = RUN) -> list[TaskInstance]:
    """Return the tasks of a run."""
    return list(session.scalars(sa.select(TaskInstance).where(TaskInstance.run_id == run_id)))


def push(task_id: str, key: str, value: Any, run_id: str = RUN, stored: str | None = None, dag_id: str = DAG) -> None:
    """Push what a task says to XCom.

    :param value: of JSON's types.
    :param stored: text to store in place of the value, which need not be JSON.
    """
    with create_session() as session:
        dag_run_id = session.scalar(sa.select(DagRun.id).where(DagRun.run_id == run_id))
        row = {"dag_run_id": dag_run_id, "task_id": task_id, "map_index": -1, "key": key, "dag_id": dag_id}
        content = value if stored is None else sa.literal(stored, sa.Text)
        session.execute(sa.insert(XComModel).values(**row, run_id=run_id, value=content, timestamp=NOW))


def remove_rows(run_id: str = RUN) -> None:
    """Remove a run, as the web page does."""
    with create_session() as session:
        session.execute(sa.delete(DagRun).where(DagRun.run_id == run_id))
