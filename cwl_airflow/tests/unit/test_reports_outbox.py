"""The outbox: written once, read in order, pruned."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from cwl_airflow.reports import outbox
from cwl_airflow.reports.events import ReportedRun, ReportEvent
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Session

NOW = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
LONG_AGO = datetime(1970, 1, 1)


@pytest.fixture
def session() -> Iterator[Any]:
    engine = sa.create_engine("sqlite://")
    outbox.metadata.create_all(engine)
    with Session(engine) as session:
        yield session


def run(number: int = 1) -> ReportedRun:
    return ReportedRun(number, "align", f"run-{number}", "2026-01-02", "running", 0)


def event(key: str, when: datetime = NOW, same: str = "") -> ReportEvent:
    return ReportEvent(key, "status", when, {"state": "é" * 3}, frozenset(same))


def test_an_event_is_written_once(session: Any) -> None:
    assert outbox.write_events(session, run(), [event("a"), event("b")], LONG_AGO) == ["status", "status"]
    assert outbox.write_events(session, run(), [event("a"), event("c"), event("c"), event("b")], LONG_AGO) == ["status"]
    assert [report.key for report in outbox.find_pending(session, ())] == ["a", "b", "c"]
    assert outbox.find_pending(session, ())[0] == outbox.Report(1, "a", 1, "status", {"state": "ééé"})
    row = session.execute(sa.select(outbox.REPORTS)).first()
    assert (row.dag_id, row.run_id, row.happened_at) == ("align", "run-1", outbox.to_naive_utc(NOW))


def test_the_database_refuses_a_second_one(session: Any) -> None:
    outbox.write_events(session, run(), [event("a")], LONG_AGO)
    row = dict(session.execute(sa.select(outbox.REPORTS)).mappings().one())
    with pytest.raises(sa.exc.IntegrityError):
        session.execute(sa.insert(outbox.REPORTS).values(**{**row, "id": 2}))


def test_one_that_says_the_same_is_not_written(session: Any) -> None:
    outbox.write_events(session, run(), [event("a")], LONG_AGO)
    assert outbox.write_events(session, run(), [event("b", same="abc")], LONG_AGO) == []


def test_what_happened_before_there_was_a_receiver_is_not_written(session: Any) -> None:
    local = NOW.astimezone(timezone(timedelta(hours=9)))
    since = outbox.to_naive_utc(NOW)
    outbox.write_events(session, run(), [event("a", local - timedelta(seconds=1)), event("b", local)], since)
    assert [report.key for report in outbox.find_pending(session, ())] == ["b"]


def test_what_is_delivered_is_not_pending(session: Any) -> None:
    for number in (1, 2, 3):
        outbox.write_events(session, run(number), [event(str(number))], LONG_AGO)
    outbox.mark_delivered(session, [1], NOW)
    assert [report.dag_run_id for report in outbox.find_pending(session, ())] == [2, 3]
    assert [report.dag_run_id for report in outbox.find_pending(session, {2})] == [3]
    assert [report.dag_run_id for report in outbox.find_pending(session, (), limit=1)] == [2]


@pytest.mark.parametrize("looked", [None, timedelta(0), outbox.KEPT - outbox.CLOCK_SLACK])
def test_a_week_is_kept(looked: timedelta | None) -> None:
    assert outbox.oldest_reported(NOW, None if looked is None else NOW - looked) == NOW - outbox.KEPT


@pytest.mark.parametrize(("undelivered", "left"), [(False, ["b", "c"]), (True, ["b"])])
def test_pruning(session: Any, undelivered: bool, left: list[str]) -> None:
    """What was not delivered is kept as long as somebody waits for it."""
    old = NOW - timedelta(days=9)
    outbox.write_events(session, run(), [event("a", old), event("b"), event("c", old)], LONG_AGO)
    outbox.mark_delivered(session, [1], old)
    outbox.mark_delivered(session, [2], NOW)
    outbox.prune_reports(session, NOW - timedelta(days=8), undelivered)
    assert list(session.scalars(sa.select(outbox.REPORTS.c.event).order_by(outbox.REPORTS.c.id))) == left


def test_what_is_as_old_as_what_is_pruned_is_kept(session: Any) -> None:
    local = NOW.astimezone(timezone(timedelta(hours=9)))
    outbox.write_events(session, run(), [event("a"), event("b")], LONG_AGO)
    outbox.mark_delivered(session, [1], local)
    for before, left in ((local, ["a", "b"]), (local + timedelta(seconds=1), [])):
        outbox.prune_reports(session, before, undelivered=True)
        assert list(session.scalars(sa.select(outbox.REPORTS.c.event))) == left


def test_whose_end_is_owed(session: Any) -> None:
    for number, percent, ended in ((1, 0, False), (2, 40, True), (1, 50, False)):
        outbox.write_owed_run(session, run(number), percent, ended)
    assert {number: tuple(row) for number, row in outbox.read_owed_runs(session).items()} == {
        1: (1, "align", "run-1", "2026-01-02", 0, 50, False),
        2: (2, "align", "run-2", "2026-01-02", 0, 40, True),
    }
    outbox.settle_owed_run(session, 1)
    assert list(outbox.read_owed_runs(session)) == [2]


def test_a_receiver_that_is_forgotten(session: Any) -> None:
    outbox.write_owed_run(session, run(), 0, ended=False)
    for name, at in ((outbox.SINCE, LONG_AGO), (outbox.LOOKED, LONG_AGO), (outbox.LOOKED, datetime(2026, 1, 2))):
        outbox.write_time(session, name, at)
    assert outbox.read_times(session) == {outbox.SINCE: LONG_AGO, outbox.LOOKED: datetime(2026, 1, 2)}
    outbox.forget_receiver(session)
    assert outbox.read_times(session) == {}
    assert outbox.read_owed_runs(session) == {}


def test_what_happened_while_nobody_looked_is_written_however_long_that_was(session: Any) -> None:
    """And what was delivered before is still known."""
    looked = NOW - timedelta(days=30)
    before, after = event("a", looked - timedelta(minutes=1)), event("b", looked + timedelta(minutes=1))
    outbox.write_events(session, run(), [before], LONG_AGO)
    outbox.mark_delivered(session, [1], looked)
    horizon = outbox.oldest_reported(outbox.to_naive_utc(NOW), outbox.to_naive_utc(looked))
    outbox.prune_reports(session, horizon, undelivered=False)
    outbox.write_events(session, run(), [before, after], horizon)
    assert [report.key for report in outbox.find_pending(session, ())] == ["b"]


def test_more_events_than_a_query_may_name(session: Any) -> None:
    many = [event(str(number)) for number in range(3 * outbox.CHUNK_SIZE)]
    assert len(outbox.write_events(session, run(), many, LONG_AGO)) == len(many)
    assert outbox.write_events(session, run(), many, LONG_AGO) == []
    assert [report.id for report in outbox.find_pending(session, ())] == list(range(1, 101))
    outbox.mark_delivered(session, range(1, len(many) + 1), NOW)
    assert outbox.find_pending(session, ()) == []


def test_indexes_fit_into_mysql() -> None:
    """767 bytes is what the oldest row formats allow, at 4 bytes a character."""
    for table in outbox.metadata.tables.values():
        text = str(sa.schema.CreateTable(table).compile(dialect=mysql.dialect()))
        assert "CHARSET=utf8mb4" in text
        columns = [set(index.columns) for index in table.indexes] + [set(table.primary_key.columns)]
        columns += [{column} for column in table.columns if column.unique]
        for each in columns:
            assert sum(getattr(column.type, "length", None) or 2 for column in each) * 4 <= 767
