"""Look at the runs of CWL documents in Airflow's database, and write what happened to them into the outbox."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from airflow.models import DagRun, TaskInstance, XCom
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.models.xcom import BaseXCom
from airflow.utils.xcom import XCOM_RETURN_KEY

from ..dags.operators import ERROR, OPERATORS, RESULTS
from ..documents.plan import GATHERER, OUTPUTS_REPORT, STATISTICS
from . import outbox
from .events import RUN_ENDED, STARTED, Run, Try, events, progress, removed

log = logging.getLogger(__name__)

ACTIVE = ("queued", "running")
#: Runs that ended since the last look are among so many newest, or were seen before.
NEWEST = 100

_RUN = (
    DagRun.id,
    DagRun.dag_id,
    DagRun.run_id,
    DagRun.execution_date,
    DagRun._state.label("state"),
    DagRun.clear_number,
    DagRun.queued_at,
    DagRun.end_date,
)


class Watch:
    """Remembers what it saw, so that a run is only read again when something happened to it."""

    def __init__(self, sessions: Callable[[], AbstractContextManager[Any]]) -> None:
        """Begin.

        :param sessions: makes sessions of Airflow's database, each a transaction.
        """
        self._sessions = sessions
        self._pruned = datetime.min
        self._forget()

    def _forget(self) -> None:
        self._noted = datetime.min
        self._newest = 0
        self._seen: dict[int, Any] = {}
        #: Which runs are of CWL documents.
        self._cwl: dict[int, bool] = {}

    def look(self, configured: bool) -> None:
        """Look once.

        :param configured: whether there is a receiver; what happens while there is none is never reported.
        """
        now = outbox.naive(datetime.now(timezone.utc))
        with self._sessions() as session:
            times = _times(session)
            since, horizon = times.get("since"), outbox.horizon(now, times.get("looked"))
            if now - self._pruned > timedelta(hours=1):
                # A day more than events are taken for news.
                outbox.prune(session, horizon - timedelta(days=1), undelivered=not configured)
                self._pruned = now
            if not configured and since:
                session.execute(sa.delete(outbox.TIMES))
                session.execute(sa.delete(outbox.RUNS))
                self._forget()
            elif configured and not since:
                since = now
                session.execute(sa.insert(outbox.TIMES).values(name="since", at=now))
        if configured and since:
            self._look(max(since, horizon))
            self._note(now)

    def _look(self, since: datetime) -> None:
        with self._sessions() as session:
            runs, owed = self._runs(session, since)
            states = self._states(session, [run.id for run in runs if run.state in ACTIVE or run.id in owed])
        ids = {run.id for run in runs}
        self._seen = {run: seen for run, seen in self._seen.items() if run in ids}
        for run in runs:
            found = (run, states.get(run.id))
            if self._seen.get(run.id) != found:
                try:
                    with self._sessions() as session:
                        self._write(session, run, since)
                except sa.exc.SQLAlchemyError:
                    raise
                except Exception:  # it must not keep others from being reported
                    log.exception("Run %s of %s cannot be reported", run.run_id, run.dag_id)
                self._seen[run.id] = found
        for run_id, row in owed.items():
            if run_id not in ids:
                self._write_removed(row)

    def _note(self, now: datetime) -> None:
        """Note when it looked: whoever starts next begins there."""
        if now - self._noted > timedelta(minutes=1):
            with self._sessions() as session:
                session.execute(sa.delete(outbox.TIMES).where(outbox.TIMES.c.name == "looked"))
                session.execute(sa.insert(outbox.TIMES).values(name="looked", at=now))
            self._noted = now

    def _runs(self, session: Any, since: datetime) -> tuple[list[Run], dict[int, Any]]:
        """Return the runs that may have changed, and those whose end is owed."""
        owed = {row.dag_run_id: row for row in session.execute(sa.select(outbox.RUNS))}
        since = since.replace(tzinfo=timezone.utc)
        queries = [sa.select(*_RUN).where(DagRun._state.in_(ACTIVE))]
        queries += [sa.select(*_RUN).where(DagRun.id.in_(some)) for some in outbox.chunks(owed)]
        if self._noted == datetime.min:
            # No index has this, so only once.
            looked = _times(session).get("looked", outbox.naive(since)).replace(tzinfo=timezone.utc)
            queries.append(sa.select(*_RUN).where(DagRun.end_date >= max(since, looked - outbox.SLACK)))
            self._newest = session.scalar(sa.select(sa.func.max(DagRun.id))) or 0
        recent = sa.select(*_RUN).where(DagRun.id > self._newest - NEWEST)
        queries.append(recent.where(sa.or_(DagRun.end_date.is_(None), DagRun.end_date >= since)))
        rows = {row.id: row for query in queries for row in session.execute(query)}
        self._newest = max([self._newest, *rows])
        self._tell(session, rows)
        runs = [_run(row) for row in rows.values() if self._cwl.get(row.id)]
        # Some databases give a key out again: then it is another run that has it.
        return [run for run in runs if run.id not in owed or _is(run, owed[run.id])], owed

    def _tell(self, session: Any, rows: Mapping[int, Any]) -> None:
        """Find out which runs are of CWL documents: those with a task that only these have."""
        self._cwl = {run: cwl for run, cwl in self._cwl.items() if run in rows}
        for row in rows.values():
            if row.id not in self._cwl:
                found = set(session.scalars(_of(TaskInstance, row, TaskInstance.operator).distinct()))
                if found:  # a run may be seen before its tasks
                    self._cwl[row.id] = not found.isdisjoint(OPERATORS)

    def _states(self, session: Any, ids: Iterable[int]) -> dict[int, Any]:
        """Return of each run how many tasks are in which state, which changes with every change of one."""
        states: dict[int, list[Any]] = {}
        for some in outbox.chunks(ids):
            query = (
                sa.select(
                    DagRun.id, TaskInstance.state, sa.func.count(), sa.func.sum(TaskInstance.try_number).label("tries")
                )
                .select_from(DagRun)
                .join(TaskInstance, _same(TaskInstance))
                .where(DagRun.id.in_(some))
                .group_by(DagRun.id, TaskInstance.state)
                .order_by(DagRun.id, TaskInstance.state)
            )
            for run, *counts in session.execute(query):
                states.setdefault(run, []).append(tuple(counts))
        return states

    def _write(self, session: Any, run: Run, since: datetime) -> None:
        tasks = [_try(row) for row in session.execute(_of(TaskInstance, run, *_columns(TaskInstance)))]
        history = _of(TaskInstanceHistory, run, *_columns(TaskInstanceHistory))
        past = [_try(row) for row in session.execute(history)]
        errors: dict[tuple[str, int], str] = {}
        results: dict[str, Any] = {}
        if run.state == "failed":
            errors = _pulled(session, run, ERROR)
        elif run.state == "success":
            results = results_of(session, run)
        written = outbox.write(session, run, events(run, tasks, past, errors, results), since)
        if written:
            log.debug("Run %s of %s: %s new", run.run_id, run.dag_id, len(written))
        session.execute(sa.delete(outbox.RUNS).where(outbox.RUNS.c.dag_run_id == run.id))
        ended = run.state in RUN_ENDED
        if not ended or any(task.state in STARTED for task in tasks):
            row = {"dag_run_id": run.id, "dag_id": run.dag_id, "run_id": run.run_id, "logical_date": run.logical_date}
            row |= {"clear_number": run.clear_number, "progress": progress(tasks, None), "ended": ended}
            session.execute(sa.insert(outbox.RUNS).values(**row))

    def _write_removed(self, row: Any) -> None:
        with self._sessions() as session:
            run = Run(row.dag_run_id, row.dag_id, row.run_id, row.logical_date, "removed", row.clear_number)
            session.execute(sa.delete(outbox.RUNS).where(outbox.RUNS.c.dag_run_id == run.id))
            if not row.ended:
                now = datetime.now(timezone.utc)
                outbox.write(session, run, [removed(run, row.progress, now)], outbox.naive(now))
        self._cwl.pop(row.dag_run_id, None)


def _times(session: Any) -> dict[str, datetime]:
    return {row.name: row.at for row in session.execute(sa.select(outbox.TIMES))}


def _run(row: Any) -> Run:
    return Run(
        row.id,
        row.dag_id,
        row.run_id,
        row.execution_date.isoformat(),
        row.state,
        row.clear_number,
        row.queued_at,
        row.end_date,
    )


def _is(run: Run, row: Any) -> bool:
    return (run.dag_id, run.run_id, run.logical_date) == (row.dag_id, row.run_id, row.logical_date)


def _columns(model: Any) -> tuple[Any, ...]:
    names = ("task_id", "map_index", "try_number", "state", "start_date", "end_date", "max_tries")
    return tuple(getattr(model, name) for name in names)


def _try(row: Any) -> Try:
    return Try(row.task_id, row.map_index, row.try_number or 0, row.state, row.start_date, row.end_date, row.max_tries)


def _same(model: Any) -> Any:
    return sa.and_(model.dag_id == DagRun.dag_id, model.run_id == DagRun.run_id)


def _of(model: Any, run: Any, *columns: Any) -> Any:
    return sa.select(*columns).where(model.dag_id == run.dag_id, model.run_id == run.run_id)


def _pulled(session: Any, run: Run, key: str, *more: Any) -> dict[tuple[str, int], Any]:
    """Return what tasks of a run pushed under a key, by task and index."""
    query = sa.select(BaseXCom.task_id, BaseXCom.map_index, BaseXCom.value)
    query = query.where(BaseXCom.dag_run_id == run.id, BaseXCom.key == key, *more)
    found = {}
    for row in session.execute(query):
        try:
            found[row.task_id, row.map_index] = XCom.deserialize_value(row)
        except Exception as error:  # a user's task may return what cannot be loaded here
            log.warning("What %s of run %s of %s pushed cannot be read: %s", row.task_id, run.run_id, run.dag_id, error)
    return found


def results_of(session: Any, run: Run) -> dict[str, Any]:
    """Return the outputs of a run: from XCom, or else from the file that a gatherer names, if it can be seen here."""
    for pushed in _pulled(session, run, RESULTS).values():
        if isinstance(pushed, dict):
            return pushed
    for (task_id, _), named in _pulled(session, run, XCOM_RETURN_KEY).items():
        if isinstance(named, str) and (task_id == GATHERER or Path(named).name == OUTPUTS_REPORT):
            try:
                outputs = json.loads(Path(named).read_text(encoding="utf-8"))
                outputs.pop(STATISTICS, None)
                return dict(outputs)
            except (OSError, ValueError, AttributeError, TypeError) as error:
                log.warning("The results of run %s of %s cannot be read: %s", run.run_id, run.dag_id, error)
    return {}
