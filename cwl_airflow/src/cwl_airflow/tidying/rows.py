"""Which rows of Airflow's database are old.

A run goes with all that depends on it, as when Airflow's REST API deletes it, and only when it ended long ago. What
``airflow db clean`` removes by age alone comes after that, and nothing since the oldest run began that did not end long
ago, nor since its first task did: so no row of such a run can be among it. (``airflow db clean`` by itself goes by when
a run or a task began, and takes those that still run.)
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from airflow.models import DagModel, DagRun, TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.settings import get_engine
from airflow.utils.db_cleanup import config_dict
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State
from airflow.utils.types import DagRunType
from sqlalchemy.orm import Session, aliased

from ..gate.job import FOLDERS
from ..runs.layout import run_folders
from .removal import Removal, log

#: For how long Airflow's own command may take, in seconds.
TIMEOUT = 1800
#: So many runs are removed in a transaction, and so many rows by Airflow's command.
RUNS_AT_ONCE, ROWS_AT_ONCE = 100, 10000
#: What Airflow's command cleans, but for DAGs themselves: one whose file cannot be read for long still has its runs.
TABLES = sorted(set(config_dict) - {"dag"})
#: Held while one host of a site removes rows. Such a lock is the server's, so that it is named after the database.
_LOCK = "CONCAT('cwl_tidying.', LEFT(SHA2(DATABASE(), 256), 40))"

has_ended = DagRun._state.in_(sorted(State.finished_dr_states))
#: Some that were marked by hand have no end.
ended_at = sa.func.coalesce(DagRun.end_date, DagRun.updated_at, DagRun.run_after)


class RowsNotRemoved(Exception):
    """Old rows are still there; the message says why."""


@dataclass(frozen=True)
class SiteRuns:
    """The runs of the site, as its database knows them (see `files.Runs`)."""

    tmp: Path
    outputs: Path

    def names_unended(self, text: str) -> bool:
        """Tell whether a text names a run that has not ended, and its DAG."""
        return any(row.dag_id in text and row.run_id in text for row in self._unended())

    def needs_data(self, dag_id: str, name: str) -> bool:
        """Tell whether a folder has the intermediate data of a run that has not ended, or that succeeded."""
        with create_session() as session:
            query = sa.select(DagRun.run_id).where(DagRun.dag_id == dag_id, DagRun._state != DagRunState.FAILED)
            return any(self._folders(dag_id, run_id, {})[0].name == name for run_id in session.scalars(query))

    def needs_outputs(self, dag_id: str, name: str) -> bool:
        """Tell whether a run that has not ended may read a folder of outputs, or write into it."""
        for row in self._unended():
            job = (row.conf or {}).get("job")
            if isinstance(job, str) or (job is None and row.dag_id == dag_id):  # a file, or a job, that may name any
                return True
            if f"/{dag_id}/{name}" in json.dumps(row.conf, ensure_ascii=False):
                return True
            given = {key: str(job[key]) for key in FOLDERS if job.get(key)} if isinstance(job, Mapping) else {}
            real = Path(os.path.realpath(self._folders(row.dag_id, row.run_id, given)[1]))
            folder = Path(os.path.realpath(self.outputs), dag_id, name)
            if folder == real or folder in real.parents or real in folder.parents:
                return True
        return False

    def has_dag(self, dag_id: str) -> bool:
        """Tell whether there is a DAG, or a run of it."""
        with create_session() as session:
            dag = sa.select(DagModel.dag_id).where(DagModel.dag_id == dag_id, ~DagModel.is_stale)
            run = sa.select(DagRun.id).where(DagRun.dag_id == dag_id).limit(1)
            return session.scalar(dag) is not None or session.scalar(run) is not None

    def has_unended(self, dag_id: str) -> bool:
        """Tell whether a DAG has a run that has not ended."""
        return any(row.dag_id == dag_id for row in self._unended())

    def _folders(self, dag_id: str, run_id: str, given: Mapping[str, str]) -> tuple[Path, Path]:
        return run_folders(self.tmp, self.outputs, dag_id, run_id, given)

    def _unended(self) -> list[Any]:
        with create_session() as session:
            return list(session.execute(sa.select(DagRun.dag_id, DagRun.run_id, DagRun.conf).where(~has_ended)))


def remove_rows(runs: Removal, others: Removal, days: float) -> None:
    """Remove old rows, and see whether they are gone.

    :param runs: counts the runs that go, each with all that depends on it.
    :param others: counts other rows.
    :param days: for how many days they are kept.
    :raises RowsNotRemoved: some are still there.
    """
    before = datetime.now(timezone.utc) - timedelta(days=days)
    with _only_one_host() as alone:
        if not alone:
            log.info("Another host of the site removes rows")
            return
        while _remove_runs(runs, before) and not runs.dry_run:
            pass
        since = _begin_of_oldest_run(before)
        found = _clean(since, dry_run=True)
        if any(found.values()) and not others.dry_run:
            _clean(since, dry_run=False)
            if left := {table: count for table, count in _clean(since, dry_run=True).items() if count}:
                raise RowsNotRemoved(f"rows before {since:%Y-%m-%d %H:%M} UTC are still there: {left}")
        for table, count in found.items():
            log.debug("%s rows of table %s before %s", count, table, since)
            others.count += count


def _remove_runs(removal: Removal, before: datetime) -> int:
    """Remove some runs that ended before a moment, but the last one of each DAG that was not triggered.

    After the last one Airflow makes the next; without any it would begin with the first again.

    :returns: how many.
    """
    later, own = aliased(DagRun), DagRun
    is_last = ~sa.exists().where(
        later.dag_id == own.dag_id, later.run_type != DagRunType.MANUAL, later.run_after > own.run_after
    )
    kept = sa.and_(own.run_type != DagRunType.MANUAL, is_last)
    with create_session() as session:
        query = sa.select(own.id, own.dag_id, own.run_id).where(has_ended, ended_at < before, ~kept).order_by(own.id)
        rows = session.execute(query if removal.dry_run else query.limit(RUNS_AT_ONCE)).all()
        if rows and not removal.dry_run:
            # Asked again, as one may have been cleared meanwhile.
            ids = [row.id for row in rows]
            session.execute(
                sa.delete(own)
                .where(own.id.in_(ids), has_ended, ended_at < before)
                .execution_options(synchronize_session=False)
            )
            session.flush()
            left = set(session.scalars(sa.select(own.id).where(own.id.in_(ids))))
            rows = [row for row in rows if row.id not in left]
    for row in rows:
        removal.note(f"run {row.run_id} of DAG {row.dag_id}")
    return len(rows)


def _begin_of_oldest_run(before: datetime) -> datetime:
    """Return when the oldest run began that did not end before a moment, or that moment."""
    stays = sa.or_(~has_ended, ended_at >= before)
    with create_session() as session:
        begins = [
            session.scalar(sa.select(sa.func.min(column)).where(stays))
            for column in (DagRun.run_after, DagRun.queued_at, DagRun.start_date)
        ]
        begins += [_first_start(session, model, stays) for model in (TaskInstance, TaskInstanceHistory)]
        since = min([before, *(begin for begin in begins if begin)])
        oldest = sa.select(DagRun.dag_id, DagRun.run_id, DagRun._state).where(~has_ended, DagRun.run_after < before)
        for row in session.execute(oldest.order_by(DagRun.run_after).limit(1)):
            log.warning(
                "Run %s of DAG %s has not ended (%s): other rows since it began stay as well", row[1], row[0], row[2]
            )
    return since


def _first_start(session: Session, model: Any, stays: Any) -> datetime | None:
    of_run = sa.and_(model.dag_id == DagRun.dag_id, model.run_id == DagRun.run_id)
    query = sa.select(sa.func.min(model.start_date)).select_from(model).join(DagRun, of_run).where(stays)
    return session.scalar(query)


def _clean(before: datetime, *, dry_run: bool) -> dict[str, int]:
    """Have Airflow's own command remove rows, within a time, and return how many it found, by table.

    It may wait for ever for a lock of MySQL (apache/airflow#66177), and passes over what it could not clean (#46856).

    :raises RowsNotRemoved: it failed, or took too long.
    """
    command = [sys.executable, "-m", "airflow", "db", "clean", "--clean-before-timestamp", before.isoformat()]
    command += ["--tables", ",".join(TABLES), "--error-on-cleanup-failure"]
    command += ["--dry-run"] if dry_run else ["--skip-archive", "--yes", "--batch-size", str(ROWS_AT_ONCE)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise RowsNotRemoved(f"'airflow db clean' was ended, as it took more than {TIMEOUT} s") from error
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        log.error("%s", "\n".join(said[-40:]))
        raise RowsNotRemoved(f"'airflow db clean' failed: {said[-1] if said else f'exit status {done.returncode}'}")
    found = re.findall(r"^Checking table (\S+)\nFound (\d+) rows", done.stdout, re.MULTILINE)
    if not found:
        raise RowsNotRemoved("'airflow db clean' does not say what it found")
    return {table: int(count) for table, count in found}


@contextmanager
def _only_one_host() -> Iterator[bool]:
    """Hold the site's lock while rows are removed; tell whether no other host has it."""
    engine = get_engine()  # type: ignore[no-untyped-call]  # Airflow's
    if engine.dialect.name != "mysql":
        yield True
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        alone = bool(connection.scalar(sa.text(f"SELECT GET_LOCK({_LOCK}, 0)")))
        try:
            yield alone
        finally:
            if alone:
                connection.scalar(sa.text(f"SELECT RELEASE_LOCK({_LOCK})"))
