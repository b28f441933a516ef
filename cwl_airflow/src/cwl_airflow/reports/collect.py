"""Look at the runs of CWL documents in Airflow's database, and write what happened to them into the outbox."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from airflow.models import DagRun
from sqlalchemy.engine import Row
from sqlalchemy.orm import Session

from . import airflow_rows, outbox
from .airflow_rows import ACTIVE_RUN_STATES, select_runs
from .events import (
    ENDED_RUN_STATES,
    STARTED_STATES,
    ReportedRun,
    derive_events,
    progress_percent,
    removed_run_event,
)
from .outbox import Sessions

log = logging.getLogger(__name__)

#: Runs that ended since the last look are among so many newest, or were seen before.
NEWEST_RUNS = 100
#: A day more than events are taken for news.
PRUNE_MARGIN = timedelta(days=1)
PRUNE_INTERVAL = timedelta(hours=1)
NOTE_INTERVAL = timedelta(minutes=1)


class RunCollector:
    """Writes what is new of runs; remembers them, so that one is only read again when something happened to it."""

    def __init__(self, sessions: Sessions) -> None:
        """Know no run yet.

        :param sessions: makes sessions of Airflow's database, each a transaction.
        """
        self._sessions = sessions
        self._pruned_at = datetime.min
        self._forget_runs()

    def _forget_runs(self) -> None:
        self._noted_at = datetime.min
        self._newest_id = 0
        #: Each run with the states of its tasks, as they were written last.
        self._written: dict[int, tuple[ReportedRun, list[tuple[Any, ...]] | None]] = {}
        #: Which runs are of CWL documents.
        self._is_cwl: dict[int, bool] = {}

    def collect(self, configured: bool) -> None:
        """Look at the runs once.

        :param configured: whether there is a receiver; what happens while there is none is never reported.
        """
        now = outbox.to_naive_utc(datetime.now(timezone.utc))
        with self._sessions() as session:
            times = outbox.read_times(session)
            since, oldest = times.get(outbox.SINCE), outbox.oldest_reported(now, times.get(outbox.LOOKED))
            if now - self._pruned_at > PRUNE_INTERVAL:
                outbox.prune_reports(session, oldest - PRUNE_MARGIN, undelivered=not configured)
                self._pruned_at = now
            if not configured and since:
                outbox.forget_receiver(session)
                self._forget_runs()
            elif configured and not since:
                since = now
                outbox.write_time(session, outbox.SINCE, now)
        if configured and since:
            self._write_changed_runs(max(since, oldest))
            self._note_look(now)

    def _write_changed_runs(self, since: datetime) -> None:
        with self._sessions() as session:
            runs, owed = self._find_runs(session, since)
            unsettled = [run.id for run in runs if run.state in ACTIVE_RUN_STATES or run.id in owed]
            states = airflow_rows.count_task_states(session, unsettled)
        there = {run.id for run in runs}
        self._written = {dag_run_id: seen for dag_run_id, seen in self._written.items() if dag_run_id in there}
        for run in runs:
            seen = (run, states.get(run.id))
            if self._written.get(run.id) != seen:
                self._try_to_write(run, since)
                self._written[run.id] = seen
        for dag_run_id, row in owed.items():
            if dag_run_id not in there:
                self._write_removed_run(row)

    def _note_look(self, now: datetime) -> None:
        """Note when it looked: whoever starts next begins there."""
        if now - self._noted_at > NOTE_INTERVAL:
            with self._sessions() as session:
                outbox.write_time(session, outbox.LOOKED, now)
            self._noted_at = now

    def _find_runs(self, session: Session, since: datetime) -> tuple[list[ReportedRun], dict[int, Row[Any]]]:
        """Return the runs that may have changed, and those whose end is owed."""
        owed = outbox.read_owed_runs(session)
        rows = self._read_candidates(session, since.replace(tzinfo=timezone.utc), owed)
        self._newest_id = max([self._newest_id, *rows])
        self._find_cwl_runs(session, rows)
        runs = [airflow_rows.make_reported_run(row) for row in rows.values() if self._is_cwl.get(row.id)]
        # Some databases give a key out again: then it is another run that has it.
        return [run for run in runs if run.id not in owed or is_same_run(run, owed[run.id])], owed

    def _read_candidates(self, session: Session, since: datetime, owed: Collection[int]) -> dict[int, Row[Any]]:
        """Return the rows of runs that may have changed, by id.

        :param owed: ids of the runs whose end is owed.
        """
        queries = [select_runs(DagRun._state.in_(ACTIVE_RUN_STATES))]
        queries += [select_runs(DagRun.id.in_(chunk)) for chunk in outbox.split_into_chunks(owed)]
        if self._noted_at == datetime.min:
            # No index has this, so only once.
            noted = outbox.read_times(session).get(outbox.LOOKED)
            looked = noted.replace(tzinfo=timezone.utc) - outbox.CLOCK_SLACK if noted else since
            queries.append(select_runs(DagRun.end_date >= max(since, looked)))
            self._newest_id = airflow_rows.find_newest_run_id(session)
        recent = sa.or_(DagRun.end_date.is_(None), DagRun.end_date >= since)
        queries.append(select_runs(DagRun.id > self._newest_id - NEWEST_RUNS, recent))
        return {row.id: row for query in queries for row in session.execute(query)}

    def _find_cwl_runs(self, session: Session, rows: Mapping[int, Row[Any]]) -> None:
        """Find out which runs are of CWL documents."""
        self._is_cwl = {dag_run_id: is_cwl for dag_run_id, is_cwl in self._is_cwl.items() if dag_run_id in rows}
        for row in rows.values():
            if row.id not in self._is_cwl:
                is_cwl = airflow_rows.is_cwl_run(session, row)
                if is_cwl is not None:  # a run may be seen before its tasks
                    self._is_cwl[row.id] = is_cwl

    def _try_to_write(self, run: ReportedRun, since: datetime) -> None:
        try:
            with self._sessions() as session:
                write_run(session, run, since)
        except sa.exc.SQLAlchemyError:
            raise
        except Exception:  # it must not keep others from being reported
            log.exception("Run %s of %s cannot be reported", run.run_id, run.dag_id)

    def _write_removed_run(self, row: Row[Any]) -> None:
        with self._sessions() as session:
            run = ReportedRun(row.dag_run_id, row.dag_id, row.run_id, row.logical_date, "removed", row.clear_number)
            outbox.settle_owed_run(session, run.id)
            if not row.ended:
                now = datetime.now(timezone.utc)
                event = removed_run_event(run, row.progress, now)
                outbox.write_events(session, run, [event], outbox.to_naive_utc(now))
        self._is_cwl.pop(row.dag_run_id, None)


def write_run(session: Session, run: ReportedRun, since: datetime) -> None:
    """Write what is new of a run, and whether its end is owed.

    :param since: what happened before is not reported; without a time zone, in UTC.
    """
    tasks = airflow_rows.read_tasks(session, run)
    history = airflow_rows.read_task_history(session, run)
    errors = airflow_rows.read_errors(session, run) if run.state == "failed" else {}
    results = airflow_rows.read_results(session, run) if run.state == "success" else {}
    events = derive_events(run, tasks, history, errors, results)
    written = outbox.write_events(session, run, events, since)
    if written:
        log.debug("Run %s of %s: %s new", run.run_id, run.dag_id, len(written))
    ended = run.state in ENDED_RUN_STATES
    if not ended or any(task.state in STARTED_STATES for task in tasks):
        outbox.write_owed_run(session, run, progress_percent(tasks, None), ended)
    else:
        outbox.settle_owed_run(session, run.id)


def is_same_run(run: ReportedRun, row: Row[Any]) -> bool:
    """Tell whether a run is the one whose end is owed, and not another one that got its id."""
    return (run.dag_id, run.run_id, run.logical_date) == (row.dag_id, row.run_id, row.logical_date)
