"""Find the runs of CWL documents that failed, and write a mail of each into the outbox."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from airflow.models import DagRun
from airflow.sdk import conf
from sqlalchemy.engine import Row
from sqlalchemy.orm import Session

from ..callers import Caller
from ..dags.notes import failure_lines
from ..reports import airflow_rows, outbox
from ..reports.airflow_rows import ACTIVE_RUN_STATES, select_runs
from ..reports.collect import NEWEST_RUNS, NOTE_INTERVAL, PRUNE_INTERVAL, PRUNE_MARGIN
from ..reports.events import ReportEvent
from ..reports.outbox import MAIL, MAIL_LOOKED, MAIL_SINCE, SITE_RUN, Sessions
from ..strict_json import storable
from .words import first_mail

log = logging.getLogger(__name__)

#: How many failed steps a mail names.
MOST_LINES = 5
HINT = "The log of the task has the last lines of the tool. To go on after the cause is mended, clear the failed task."


class FailedRuns:
    """Writes a mail of each run that failed; one that is cleared and fails again has another one."""

    def __init__(self, sessions: Sessions, site: str) -> None:
        """Know no run yet.

        :param sessions: makes sessions of Airflow's database, each a transaction.
        :param site: what the site is called.
        """
        self._sessions = sessions
        self._site = site
        self._noted_at = self._pruned_at = datetime.min
        #: The runs that had not ended at the last look; none before the first one.
        self._active: set[int] | None = None
        #: Those of which there is nothing more to write, by id, clear number and end.
        self._done: set[tuple[Any, ...]] = set()

    def collect(self) -> None:
        """Look at the runs once; what failed before mails were set is never told."""
        now = outbox.to_naive_utc(datetime.now(timezone.utc))
        with self._sessions() as session:
            times = outbox.read_times(session)
            if MAIL_SINCE not in times:
                outbox.write_time(session, MAIL_SINCE, now)
                key = SITE_RUN.event_key(MAIL, "first", now.isoformat())
                outbox.write_events(session, SITE_RUN, [ReportEvent(key, MAIL, now, first_mail(self._site))], now)
            oldest = outbox.oldest_reported(now, times.get(MAIL_LOOKED))
            since = max(times.get(MAIL_SINCE, now), oldest)
            looked = times.get(MAIL_LOOKED, since) - outbox.CLOCK_SLACK
            active = set(session.scalars(sa.select(DagRun.id).where(DagRun._state.in_(ACTIVE_RUN_STATES))))
            if self._active is None:
                # No index has this, so only once.
                rows = _read_failed(session, max(since, looked))
            else:
                newest = DagRun.id > airflow_rows.find_newest_run_id(session) - NEWEST_RUNS
                rows = _read_failed(session, since, newest, *_among(self._active - active))
        self._done &= {_identity(row) for row in rows}
        for row in rows:
            if _identity(row) not in self._done:
                self._write(row, since)
                self._done.add(_identity(row))
        self._active = active
        with self._sessions() as session:
            if now - self._noted_at > NOTE_INTERVAL:
                outbox.write_time(session, MAIL_LOOKED, now)
                self._noted_at = now
            if now - self._pruned_at > PRUNE_INTERVAL:
                outbox.prune_reports(session, oldest - PRUNE_MARGIN, undelivered=False, mails=True)
                self._pruned_at = now

    def _write(self, row: Row[Any], since: datetime) -> None:
        try:
            with self._sessions() as session:
                run = session.get(DagRun, row.id)
                if run is not None and airflow_rows.is_cwl_run(session, row):
                    reported = airflow_rows.make_reported_run(row)
                    key = reported.event_key(MAIL, row.clear_number, row.end_date.isoformat())
                    event = ReportEvent(key, MAIL, row.end_date, run_mail(self._site, run))
                    outbox.write_events(session, reported, [event], since)
        except sa.exc.SQLAlchemyError:
            raise
        except Exception:  # it must not keep others from being told
            log.exception("The failure of run %s of %s cannot be mailed", row.run_id, row.dag_id)


def _identity(row: Row[Any]) -> tuple[Any, ...]:
    return row.id, row.clear_number, row.end_date


def _among(ids: Iterable[int]) -> list[Any]:
    """Return the conditions that a run is one of many."""
    return [DagRun.id.in_(chunk) for chunk in outbox.split_into_chunks(ids)]


def _read_failed(session: Session, since: datetime, *any_of: Any) -> list[Row[Any]]:
    """Return the runs that failed since a time and meet any of some conditions, if there are any."""
    failed = (DagRun._state == "failed", DagRun.end_date >= since.replace(tzinfo=timezone.utc))
    queries = [select_runs(*failed, condition) for condition in any_of] or [select_runs(*failed)]
    return list({row.id: row for query in queries for row in session.execute(query)}.values())


def run_mail(site: str, run: DagRun) -> dict[str, Any]:
    """Return the mail of a run that failed.

    :param run: of a session.
    """
    why = failure_lines(run) or ["The run was marked as failed."]
    name = Caller.of(run.conf).name or run.triggering_user_name
    started = " ".join(filter(None, [_moment(run.start_date), name and f"by {name}"]))
    facts = {"DAG": run.dag_id, "Run": run.run_id, "Started": started, "Failed": _moment(run.end_date)}
    said = [*why[:MOST_LINES], *([f"and {len(why) - MOST_LINES} more"] if len(why) > MOST_LINES else [])]
    paragraphs = [_table(facts), *said, page_of_run(run.dag_id, run.run_id), HINT]
    return {
        "subject": storable(f"{site}: {run.dag_id} failed"),
        "text": storable("\n\n".join(filter(None, paragraphs))),
        "line": storable(f"{run.dag_id}, run {run.run_id}: {why[0]}"),
    }


def page_of_run(dag_id: str, run_id: str) -> str:
    """Return the URL of the page of a run; nothing where nobody set Airflow's own (``[api] base_url``)."""
    base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    return f"{base}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}" if base else ""


def _table(facts: Mapping[str, str | None]) -> str:
    return "\n".join(f"{name + ':':9}{fact}" for name, fact in facts.items() if fact)


def _moment(moment: datetime | None) -> str | None:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC" if moment else None
