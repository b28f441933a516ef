"""The outbox: reports and mails that are written once, delivered in order, and kept for a while to know them again.

Its tables are made by `cwl_airflow.schema`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import DATETIME, LONGTEXT
from sqlalchemy.engine import Row
from sqlalchemy.orm import Session

from .events import ReportedRun, ReportEvent

_MYSQL_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: In UTC, without saying so: MySQL knows no time zones.
_TIME = sa.DateTime().with_variant(DATETIME(fsp=6), "mysql")
_NAME = sa.String(250)
#: For how long what was delivered is kept, to know it again. Older events are not reported.
KEPT = timedelta(days=7)
#: The clocks of a site may differ by less.
CLOCK_SLACK = timedelta(hours=1)
#: How many keys a query may name.
CHUNK_SIZE = 500

Value = TypeVar("Value")
#: Makes sessions of the database, each a transaction.
Sessions: TypeAlias = Callable[[], AbstractContextManager[Session]]

metadata = sa.MetaData()
REPORTS = sa.Table(
    "cwl_reports",
    metadata,
    sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("event", sa.String(64), nullable=False, unique=True),
    sa.Column("dag_run_id", _NUMBER, nullable=False),
    sa.Column("dag_id", _NAME, nullable=False),
    sa.Column("run_id", _NAME, nullable=False),
    sa.Column("route", sa.String(16), nullable=False),
    sa.Column("payload", sa.Text().with_variant(LONGTEXT(), "mysql"), nullable=False),
    sa.Column("happened_at", _TIME, nullable=False),
    sa.Column("delivered_at", _TIME),
    sa.Index("cwl_reports_delivered", "delivered_at", "id"),
    **_MYSQL_OPTIONS,
)
#: The runs whose end is owed.
OWED_RUNS = sa.Table(
    "cwl_report_runs",
    metadata,
    sa.Column("dag_run_id", _NUMBER, primary_key=True, autoincrement=False),
    sa.Column("dag_id", _NAME, nullable=False),
    sa.Column("run_id", _NAME, nullable=False),
    sa.Column("logical_date", sa.String(40), nullable=False),
    sa.Column("clear_number", sa.Integer, nullable=False),
    sa.Column("progress", sa.Integer, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False),
    **_MYSQL_OPTIONS,
)
#: Since when there is a receiver (`SINCE`) or somebody gets mails, and when somebody last looked (`LOOKED`).
TIMES = sa.Table(
    "cwl_report_times",
    metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("at", _TIME, nullable=False),
    **_MYSQL_OPTIONS,
)
SINCE, LOOKED = "since", "looked"
MAIL_SINCE, MAIL_LOOKED = "mail_since", "mail_looked"
#: The route of what is mailed; all others are the receiver's.
MAIL = "mail"
#: What is about no run, but about the site, is of this one.
SITE_RUN = ReportedRun(0, "", "", "", "", 0)


@dataclass(frozen=True)
class Report:
    """A report that is to be delivered; its key stays the same if it is sent again."""

    id: int
    key: str
    dag_run_id: int
    route: str
    payload: Mapping[str, Any]


def oldest_reported(now: datetime, looked: datetime | None) -> datetime:
    """Return since when events are reported, and what was delivered is known again: longer if nobody looked for long.

    :param looked: when somebody last looked.
    """
    return min(now - KEPT, looked - CLOCK_SLACK) if looked else now - KEPT


def split_into_chunks(values: Iterable[Value]) -> Iterator[list[Value]]:
    """Share values out into as many as a query may name."""
    values = list(values)
    for first in range(0, len(values), CHUNK_SIZE):
        yield values[first : first + CHUNK_SIZE]


def write_events(session: Session, run: ReportedRun, events: Iterable[ReportEvent], since: datetime) -> list[str]:
    """Write the events that are not written yet.

    :param since: what happened before is not reported; without a time zone, in UTC.
    :returns: the routes of the new reports.
    """
    wanted = [event for event in events if to_naive_utc(event.when) >= since]
    known: set[str] = set()
    for keys in split_into_chunks({key for event in wanted for key in (event.key, *event.equivalent_keys)}):
        known.update(session.scalars(sa.select(REPORTS.c.event).where(REPORTS.c.event.in_(keys))))
    routes = []
    for event in wanted:
        if known.isdisjoint({event.key, *event.equivalent_keys}):
            known.add(event.key)
            routes.append(event.route)
            row = {"dag_run_id": run.id, "dag_id": run.dag_id, "run_id": run.run_id, "route": event.route}
            row |= {"event": event.key, "payload": json.dumps(event.payload), "happened_at": to_naive_utc(event.when)}
            session.execute(sa.insert(REPORTS).values(**row))
    return routes


def find_pending(
    session: Session, without_runs: Collection[int], limit: int = 100, mails: bool = False
) -> list[Report]:
    """Return the oldest reports, or mails, that are not delivered yet.

    :param without_runs: runs whose reports have to wait.
    """
    query = sa.select(REPORTS).where(REPORTS.c.delivered_at.is_(None), _is_of(mails))
    if without_runs:
        query = query.where(REPORTS.c.dag_run_id.not_in(without_runs))
    rows = session.execute(query.order_by(REPORTS.c.id).limit(limit))
    return [Report(row.id, row.event, row.dag_run_id, row.route, json.loads(row.payload)) for row in rows]


def mark_delivered(session: Session, ids: Iterable[int], now: datetime) -> None:
    """Note that reports were delivered."""
    for chunk in split_into_chunks(ids):
        session.execute(sa.update(REPORTS).where(REPORTS.c.id.in_(chunk)).values(delivered_at=to_naive_utc(now)))


def prune_reports(session: Session, before: datetime, undelivered: bool, mails: bool = False) -> None:
    """Remove reports, or mails, that were delivered before a time.

    :param undelivered: remove also those that happened before and nobody waits for.
    """
    session.execute(sa.delete(REPORTS).where(REPORTS.c.delivered_at < to_naive_utc(before), _is_of(mails)))
    if undelivered:
        old = REPORTS.c.happened_at < to_naive_utc(before)
        session.execute(sa.delete(REPORTS).where(REPORTS.c.delivered_at.is_(None), old, _is_of(mails)))


def _is_of(mails: bool) -> Any:
    return REPORTS.c.route == MAIL if mails else REPORTS.c.route != MAIL


def count_deliveries(session: Session, since: datetime) -> int:
    """Return how many mails were sent since a time; several notes that were sent in one count as one."""
    sent = sa.and_(REPORTS.c.delivered_at >= to_naive_utc(since), _is_of(mails=True))
    return int(session.scalar(sa.select(sa.func.count(REPORTS.c.delivered_at.distinct())).where(sent)) or 0)


def read_newest_of_site(session: Session, route: str) -> Mapping[str, Any]:
    """Return the payload that was written last of the site by a route, delivered or not; nothing if there is none."""
    query = sa.select(REPORTS.c.payload).where(REPORTS.c.dag_run_id == SITE_RUN.id, REPORTS.c.route == route)
    payload = session.scalar(query.order_by(REPORTS.c.id.desc()).limit(1))
    return dict(json.loads(payload)) if payload else {}


def read_times(session: Session) -> dict[str, datetime]:
    """Return the times that are noted, by name."""
    return {row.name: row.at for row in session.execute(sa.select(TIMES))}


def write_time(session: Session, name: str, at: datetime) -> None:
    """Note a time under a name, in place of any before."""
    session.execute(sa.delete(TIMES).where(TIMES.c.name == name))
    session.execute(sa.insert(TIMES).values(name=name, at=at))


def read_owed_runs(session: Session) -> dict[int, Row[Any]]:
    """Return the runs whose end is owed, by id."""
    return {row.dag_run_id: row for row in session.execute(sa.select(OWED_RUNS))}


def write_owed_run(session: Session, run: ReportedRun, percent: int, ended: bool) -> None:
    """Note that the end of a run is owed, in place of any note of it before.

    :param percent: its progress so far.
    :param ended: whether its own end was reported: then only tasks of it have not ended.
    """
    settle_owed_run(session, run.id)
    row = {"dag_run_id": run.id, "dag_id": run.dag_id, "run_id": run.run_id, "logical_date": run.logical_date}
    row |= {"clear_number": run.clear_number, "progress": percent, "ended": ended}
    session.execute(sa.insert(OWED_RUNS).values(**row))


def settle_owed_run(session: Session, dag_run_id: int) -> None:
    """Note that nothing of a run is owed any more."""
    session.execute(sa.delete(OWED_RUNS).where(OWED_RUNS.c.dag_run_id == dag_run_id))


def forget_receiver(session: Session) -> None:
    """Forget what is owed and since when: there is no receiver any more."""
    session.execute(sa.delete(TIMES).where(TIMES.c.name.in_((SINCE, LOOKED))))
    session.execute(sa.delete(OWED_RUNS))


def forget_mails(session: Session) -> None:
    """Forget what was to be mailed and since when: nobody gets mails any more."""
    session.execute(sa.delete(TIMES).where(TIMES.c.name.in_((MAIL_SINCE, MAIL_LOOKED))))
    session.execute(sa.delete(REPORTS).where(REPORTS.c.delivered_at.is_(None), _is_of(mails=True)))


def to_naive_utc(time: datetime) -> datetime:
    """Return a time in UTC without its zone, as it is stored."""
    return (time.astimezone(timezone.utc) if time.tzinfo else time).replace(tzinfo=None)
