"""No task is taken for lost whose heartbeats cannot arrive."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import rows
import sqlalchemy as sa
from airflow.models import TaskInstance
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.utils.session import create_session
from cwl_airflow.heartbeats import LONG, RENEWED, Outages, renew_heartbeats

from cwl_airflow import heartbeats

OLD = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def old(clean_database: Path) -> None:
    """Add a running and a queued task whose last heartbeat was long ago."""
    with DAG(rows.DAG, schedule=None) as dag:
        for name in ("running", "queued"):
            EmptyOperator(task_id=name)
    rows.add_dag(dag)
    rows.add_run(logical_date=None)
    for name in ("running", "queued"):
        rows.add_task(name, name, last_heartbeat_at=OLD, updated_at=OLD)


def columns(name: str) -> tuple[datetime, datetime]:
    """Return when the last heartbeat of a task was, and when its row was changed."""
    with create_session() as session:
        wanted = sa.select(TaskInstance.last_heartbeat_at, TaskInstance.updated_at)
        return tuple(session.execute(wanted.where(TaskInstance.task_id == name)).one())  # type: ignore[return-value]


def test_what_runs_has_its_heartbeat_renewed(old: None) -> None:
    renew_heartbeats()
    heartbeat, changed = columns("running")
    assert datetime.now(timezone.utc) - heartbeat < timedelta(minutes=5)
    assert changed == OLD
    assert columns("queued") == (OLD, OLD)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        """Begin somewhere."""
        self.wall = self.monotonic = 1000.0

    def read(self) -> tuple[float, float]:
        """Return the time of day, and the time that is not set."""
        return self.wall, self.monotonic


@pytest.fixture
def renewed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the list of times at which heartbeats were renewed."""
    times: list[float] = []
    monkeypatch.setattr(heartbeats, "renew_heartbeats", lambda: times.append(time.monotonic()))
    return times


@pytest.mark.parametrize(
    ("wall", "monotonic", "count"),
    [
        (1, 1, 0),
        (LONG, LONG, 0),
        (LONG + 1, LONG + 1, 1),  # the scheduler, or its database, was away
        (3600, 1, 1),  # the clock was set, or the machine slept
        (-3600, 1, 1),
    ],
)
def test_a_gap_between_two_looks_is_an_outage(
    monkeypatch: pytest.MonkeyPatch, renewed: list[float], wall: float, monotonic: float, count: int
) -> None:
    clock = Clock()
    monkeypatch.setattr(Outages, "_clock", staticmethod(clock.read))
    outages = Outages("http://127.0.0.1:1/execution/")
    clock.wall += wall
    clock.monotonic += monotonic
    outages.look()
    assert len(renewed) == count
    outages.look()
    assert len(renewed) == count


class Server:
    """An API server that answers with a status."""

    def __init__(self) -> None:
        """Answer on a port of this host."""
        self.status = 200
        self.asked: list[str] = []
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answers.asked.append(self.path)
                self.send_response(answers.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/execution/"

    def stop(self) -> None:
        """Answer no more."""
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def wait_for(found: Any) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_while_the_api_server_is_away_heartbeats_are_renewed(
    monkeypatch: pytest.MonkeyPatch, renewed: list[float], server: Server
) -> None:
    monkeypatch.setattr(heartbeats, "PAUSE", 0.02)
    outages = Outages(server.url)
    outages.watch()
    wait_for(lambda: len(server.asked) > 2)
    outages.look()
    assert not renewed
    assert set(server.asked) == {"/execution/health"}
    server.status = 503
    wait_for(lambda: outages.look() or renewed)
    # Not at each look, of which there are many.
    monkeypatch.setattr(heartbeats, "RENEWED", 3600)
    count = len(server.asked)
    wait_for(lambda: outages.look() or len(server.asked) > count + 3)
    assert len(renewed) == 1
    monkeypatch.setattr(heartbeats, "RENEWED", 0)
    wait_for(lambda: outages.look() or len(renewed) > 2)
    # The last time after it came back.
    server.status = 404
    count = len(server.asked)
    wait_for(lambda: len(server.asked) > count + 2)
    outages.look()
    times = len(renewed)
    outages.look()
    assert len(renewed) == times


def test_a_server_that_is_not_there_is_away() -> None:
    assert not Outages("http://127.0.0.1:1/execution").is_server_there()
    assert RENEWED < LONG
