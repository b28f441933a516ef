"""The outbox: reports that are written once, delivered in order, and kept for a while to know them again."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import DATETIME, LONGTEXT

from .events import Event, Run

_mysql = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: In UTC, without saying so: MySQL knows no time zones.
_time = sa.DateTime().with_variant(DATETIME(fsp=6), "mysql")
_name = sa.String(250)
#: For how long what was delivered is kept, to know it again. Older events are not reported.
KEPT = timedelta(days=7)
#: The clocks of a site may differ by less.
SLACK = timedelta(hours=1)
#: How many keys a query may name.
CHUNK = 500

metadata = sa.MetaData()
REPORTS = sa.Table(
    "cwl_reports",
    metadata,
    sa.Column("id", _number, primary_key=True, autoincrement=True),
    sa.Column("event", sa.String(64), nullable=False, unique=True),
    sa.Column("dag_run_id", _number, nullable=False),
    sa.Column("dag_id", _name, nullable=False),
    sa.Column("run_id", _name, nullable=False),
    sa.Column("route", sa.String(16), nullable=False),
    sa.Column("payload", sa.Text().with_variant(LONGTEXT(), "mysql"), nullable=False),
    sa.Column("happened_at", _time, nullable=False),
    sa.Column("delivered_at", _time),
    sa.Index("cwl_reports_delivered", "delivered_at", "id"),
    **_mysql,
)
#: The runs whose end is owed.
RUNS = sa.Table(
    "cwl_report_runs",
    metadata,
    sa.Column("dag_run_id", _number, primary_key=True, autoincrement=False),
    sa.Column("dag_id", _name, nullable=False),
    sa.Column("run_id", _name, nullable=False),
    sa.Column("logical_date", sa.String(40), nullable=False),
    sa.Column("clear_number", sa.Integer, nullable=False),
    sa.Column("progress", sa.Integer, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False),
    **_mysql,
)
#: Since when there is a receiver, and when somebody last looked.
TIMES = sa.Table(
    "cwl_report_times",
    metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("at", _time, nullable=False),
    **_mysql,
)


@dataclass(frozen=True)
class Report:
    """A report that is to be delivered; its key stays the same if it is sent again."""

    id: int
    key: str
    dag_run_id: int
    route: str
    payload: Mapping[str, Any]


def horizon(now: datetime, looked: datetime | None) -> datetime:
    """Return since when events are reported, and what was delivered is known again: longer if nobody looked for long.

    :param looked: when somebody last looked.
    """
    return min(now - KEPT, looked - SLACK) if looked else now - KEPT


def create(connection: Any) -> None:
    """Make the tables that are not there."""
    metadata.create_all(connection, checkfirst=True)


def chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Share values out into as many as a query may name."""
    values = list(values)
    for first in range(0, len(values), CHUNK):
        yield values[first : first + CHUNK]


def write(session: Any, run: Run, events: Iterable[Event], since: datetime) -> list[str]:
    """Write the events that are not written yet.

    :param since: what happened before is not reported; without a time zone, in UTC.
    :returns: the routes of the new reports.
    """
    wanted = [event for event in events if naive(event.when) >= since]
    known: set[str] = set()
    for keys in chunks({key for event in wanted for key in (event.key, *event.same)}):
        known.update(session.scalars(sa.select(REPORTS.c.event).where(REPORTS.c.event.in_(keys))))
    routes = []
    for event in wanted:
        if known.isdisjoint({event.key, *event.same}):
            known.add(event.key)
            routes.append(event.route)
            row = {"dag_run_id": run.id, "dag_id": run.dag_id, "run_id": run.run_id, "route": event.route}
            row |= {"event": event.key, "payload": json.dumps(event.payload), "happened_at": naive(event.when)}
            session.execute(sa.insert(REPORTS).values(**row))
    return routes


def pending(session: Any, without: Collection[int], limit: int = 100) -> list[Report]:
    """Return the oldest reports that are not delivered yet.

    :param without: runs whose reports have to wait.
    """
    query = sa.select(REPORTS).where(REPORTS.c.delivered_at.is_(None))
    if without:
        query = query.where(REPORTS.c.dag_run_id.not_in(without))
    rows = session.execute(query.order_by(REPORTS.c.id).limit(limit))
    return [Report(row.id, row.event, row.dag_run_id, row.route, json.loads(row.payload)) for row in rows]


def mark_delivered(session: Any, ids: Iterable[int], now: datetime) -> None:
    """Note that reports were delivered."""
    for some in chunks(ids):
        session.execute(sa.update(REPORTS).where(REPORTS.c.id.in_(some)).values(delivered_at=naive(now)))


def prune(session: Any, before: datetime, undelivered: bool) -> None:
    """Remove reports that were delivered before a time.

    :param undelivered: remove also those that happened before and nobody waits for.
    """
    session.execute(sa.delete(REPORTS).where(REPORTS.c.delivered_at < naive(before)))
    if undelivered:
        old = REPORTS.c.happened_at < naive(before)
        session.execute(sa.delete(REPORTS).where(REPORTS.c.delivered_at.is_(None), old))


def naive(time: datetime) -> datetime:
    """Return a time in UTC without its zone, as it is stored."""
    return (time.astimezone(timezone.utc) if time.tzinfo else time).replace(tzinfo=None)
