"""The whole service of a site: from Airflow's rows to a receiver over HTTP."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from airflow import settings as airflow_settings
from airflow.models import Connection
from airflow.utils.session import create_session
from cwl_airflow.commands import reports as command
from cwl_airflow.notices import site as notices_site
from cwl_airflow.reports import outbox, service, site
from cwl_airflow.reports.collect import RunCollector
from cwl_airflow.reports.printing_server import PrintingServer
from cwl_airflow.reports.receiver import CONNECTION, ReceiverMisconfigured, ReportReceiver
from cwl_airflow.reports.service import OutboxTable, ReceiverSettings, ReportService, SiteLock
from cwl_airflow.reports.settings import read_receiver
from rows import add_run, add_task, at, change_task, end_run

from cwl_airflow import schema


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "INTERVAL", 0.02)
    monkeypatch.setattr(service, "SETTINGS_LIFETIME", 0.02)


@pytest.fixture
def receiver() -> Iterator[PrintingServer]:
    """Return a receiver, and set it in Airflow."""
    with PrintingServer(("127.0.0.1", 0), None, "RS256") as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def wait_for(found: Callable[[], Any]) -> Any:
    """Wait until something is found, and return it."""
    deadline = time.monotonic() + 60
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


@contextmanager
def working(made: ReportService) -> Iterator[None]:
    """Have a service work meanwhile."""
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield
    finally:
        made.stop.set()
        thread.join(60)


def set_connection(server: PrintingServer) -> None:
    with create_session() as session:
        session.add(Connection(CONNECTION, conn_type="http", host="127.0.0.1", port=server.server_port))


def count_reports(delivered: bool = False) -> int:
    """Return the number of reports, or of those that were delivered."""
    counted = outbox.REPORTS.c.delivered_at if delivered else outbox.REPORTS.c.id
    with create_session() as session:
        return int(session.scalar(sa.select(sa.func.count(counted))))


@pytest.fixture
def printed(capfd: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that returns what came. Called while something comes, it may lose that."""
    return lambda: [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]


def routes(reports: list[dict[str, Any]]) -> list[str]:
    return [report["route"] for report in reports]


ALL_ROUTES = ["status", "status", "progress", "progress", "results"]


@pytest.mark.usefixtures("clean_database")
def test_a_run_is_reported_to_a_receiver(receiver: PrintingServer, printed: Callable[[], list[dict[str, Any]]]) -> None:
    set_connection(receiver)
    made = site.make_report_service()
    with working(made):
        wait_for(since_is_noted)
        add_run()
        add_task("a", "running", 1)
        wait_for(lambda: count_reports(delivered=True) == 1)
        change_task("a", state="success", end_date=2)
        end_run("success", 3)
        wait_for(lambda: count_reports(delivered=True) == 5)
    assert not made.broken
    reports = printed()
    assert routes(reports) == ALL_ROUTES
    assert len({report["key"] for report in reports}) == 5


def since_is_noted() -> bool:
    with create_session() as session:
        return outbox.SINCE in outbox.read_times(session)


@pytest.fixture
def sessions(tmp_path: Path) -> outbox.Sessions:
    """Return what makes sessions of a database with our tables alone."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/outbox.db", future=True)
    outbox.metadata.create_all(engine)

    @contextmanager
    def make() -> Iterator[Any]:
        with sa.orm.Session(engine) as session, session.begin():
            yield session

    return make


def add_reports(sessions: outbox.Sessions, count: int) -> None:
    now = datetime.now(timezone.utc)
    row = {"dag_id": "a", "run_id": "b", "route": "status", "payload": "{}", "happened_at": outbox.to_naive_utc(now)}
    with sessions() as session:
        for number in range(1, count + 1):
            session.execute(sa.insert(outbox.REPORTS).values(event=str(number), dag_run_id=number, **row))


@pytest.mark.usefixtures("in_tokyo")
def test_what_is_delivered_is_noted(sessions: outbox.Sessions) -> None:
    add_reports(sessions, 2)
    table = OutboxTable(sessions)
    assert [report.id for report in table.find_pending(())] == [1, 2]
    assert [report.id for report in table.find_pending({1})] == [2]
    table.mark_delivered([1])
    assert [report.id for report in table.find_pending(())] == [2]
    with sessions() as session:
        noted = session.scalar(sa.select(outbox.REPORTS.c.delivered_at).where(outbox.REPORTS.c.id == 1))
    assert timedelta(0) <= outbox.to_naive_utc(datetime.now(timezone.utc)) - noted < timedelta(minutes=1)


def test_the_receiver_is_read_again_now_and_then(
    sessions: outbox.Sessions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answers: list[Any] = [None, ReceiverMisconfigured("no host"), ReceiverMisconfigured("no host"), ReportReceiver("u")]
    asked = []

    def read(_session: Any) -> ReportReceiver | None:
        asked.append(answers[0])
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    settings = ReceiverSettings(sessions, read)
    clock = [100.0]
    monkeypatch.setattr(service, "SETTINGS_LIFETIME", 5)
    monkeypatch.setattr(service.time, "monotonic", lambda: clock[0])
    assert settings.current_receiver() == (False, None)
    clock[0] += 4
    assert settings.current_receiver() == (False, None)
    assert len(asked) == 1
    for _ in range(2):
        clock[0] += 5
        # There is one, which cannot be used: what happens is kept.
        assert settings.current_receiver() == (True, None)
    assert caplog.messages == ["no host. Until then reports are kept and nothing is sent."]
    clock[0] += 5
    assert settings.current_receiver() == (True, ReportReceiver("u"))
    assert caplog.messages[1:] == ["Reports can be sent again"]


def make_service(sessions: outbox.Sessions, collect: Callable[[bool], None]) -> ReportService:
    return ReportService(sessions, lambda _: None, collect, lambda: True)


def test_a_database_that_is_away_is_waited_for(sessions: outbox.Sessions, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    looks = []

    def collect(_configured: bool) -> None:
        looks.append(None)
        if len(looks) < 4:
            raise sa.exc.OperationalError("SELECT 1", {}, OSError("away"))

    made = make_service(sessions, collect)
    with working(made):
        wait_for(lambda: len(looks) > 6)
    assert not made.broken
    said = "The database is away: (builtins.OSError) away"
    assert caplog.messages == [said, "The database is there again"]


def test_what_breaks_stops_the_service(sessions: outbox.Sessions, caplog: pytest.LogCaptureFixture) -> None:
    def collect(_configured: bool) -> None:
        raise ZeroDivisionError

    made = make_service(sessions, collect)
    made.run()
    assert made.broken
    assert caplog.messages == ["Stopping"]
    assert "ZeroDivisionError" in caplog.text


def test_more_reports_than_one_look_finds_are_sent_without_a_pause(
    sessions: outbox.Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "INTERVAL", 3600)
    add_reports(sessions, 101)
    receiver: Any = MemoryReceiver()
    made = ReportService(sessions, lambda _: receiver, lambda _: None, lambda: True)
    with working(made):
        wait_for(lambda: len(receiver.keys) == 101)
    assert receiver.keys == [str(number) for number in range(1, 102)]


def test_a_service_that_is_told_to_stop_sends_no_more(sessions: outbox.Sessions) -> None:
    add_reports(sessions, 3)
    receiver: Any = MemoryReceiver()
    made = ReportService(sessions, lambda _: receiver, lambda _: None, lambda: True)
    receiver.when_taken = made.stop.set
    made.run()
    assert receiver.keys == ["1"]


class MemoryReceiver:
    """A receiver that takes all."""

    def __init__(self) -> None:
        """Have nothing."""
        self.keys: list[str] = []
        self.when_taken: Callable[[], None] = lambda: None

    def post(self, _http: Any, report: outbox.Report) -> None:
        """Take a report."""
        self.keys.append(report.key)
        self.when_taken()


class MySQL:
    """An engine of MySQL's dialect, and its only connection."""

    def __init__(self) -> None:
        """Be there, with a free lock."""
        self.dialect = type("Dialect", (), {"name": "mysql"})
        self.held: Any = 1
        self.away = False
        self.said: list[str] = []

    def connect(self) -> MySQL:
        """Return the connection."""
        if self.away:
            raise sa.exc.OperationalError("connect", {}, OSError("away"))
        self.said.append("connect")
        return self

    def execution_options(self, isolation_level: str) -> MySQL:
        """Note that nothing waits for a commit."""
        assert isolation_level == "AUTOCOMMIT"
        return self

    def detach(self) -> None:
        """Leave the pool."""
        self.said.append("detach")

    def execute(self, query: Any) -> None:
        """Take a setting."""
        self.said.append(str(query))

    def scalar(self, query: Any) -> Any:
        """Answer whether the lock is held."""
        if self.away:
            raise sa.exc.OperationalError("GET_LOCK", {}, OSError("away"))
        assert "GET_LOCK" in str(query)
        return self.held

    def close(self) -> None:
        """Close, which fails as well."""
        self.said.append("close")
        raise sa.exc.OperationalError("close", {}, OSError("away"))


def test_who_holds_mysqls_lock_works(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server: Any = MySQL()
    lock = SiteLock(server)
    assert lock.try_to_hold()
    assert caplog.messages == ["It is my turn to report"]
    assert lock.try_to_hold()
    assert server.said == ["connect", "detach", "SET SESSION wait_timeout = 60"]
    assert caplog.messages == ["It is my turn to report"]
    server.held = 0
    assert not lock.try_to_hold()
    assert not lock.try_to_hold()
    assert caplog.messages[1:] == ["Another service reports: waiting"]
    server.away = True
    with pytest.raises(sa.exc.OperationalError):
        lock.try_to_hold()
    assert server.said[-1] == "close"
    with pytest.raises(sa.exc.OperationalError):  # and no second connection is closed
        lock.try_to_hold()
    assert server.said.count("close") == 1
    server.away, server.held = False, 1
    assert lock.try_to_hold()
    assert server.said.count("connect") == 2


def make_site_service(engine: Any) -> ReportService:
    return ReportService(
        create_session, read_receiver, RunCollector(create_session).collect, SiteLock(engine).try_to_hold
    )


@pytest.mark.usefixtures("clean_database")
def test_of_two_services_the_second_takes_over_where_the_first_ended(
    receiver: PrintingServer, printed: Callable[[], list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    schema.upgrade(airflow_settings.engine)
    set_connection(receiver)
    engines: list[Any] = [MySQL(), MySQL()]
    engines[1].held = 0
    first, second = (make_site_service(engine) for engine in engines)
    with working(second):
        wait_for(lambda: "Another service reports: waiting" in caplog.text)
        with working(first):
            wait_for(since_is_noted)
            add_run()
            add_task("a", "running", 1)
            wait_for(lambda: count_reports(delivered=True) == 1)
        change_task("a", state="success", end_date=2)
        time.sleep(0.2)
        assert count_reports() == 1  # it is nobody's turn
        engines[1].held = 1
        end_run("success", 3)
        wait_for(lambda: count_reports(delivered=True) == 5)
    reports = printed()
    assert routes(reports) == ALL_ROUTES
    assert len({report["key"] for report in reports}) == 5
    assert not (first.broken or second.broken)


@pytest.mark.usefixtures("clean_database")
def test_two_services_without_a_lock_lose_nothing_and_write_nothing_twice(
    receiver: PrintingServer, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    """SQLite has no lock: then both may send a report, but with the same key."""
    set_connection(receiver)
    services = [site.make_report_service() for _ in range(2)]
    with working(services[0]), working(services[1]):
        wait_for(since_is_noted)
        for number in range(2):
            name = f"run-{number}"
            add_run(name, logical_date=at(number))
            add_task("a", "success", 1, 2, run_id=name)
            end_run("success", 3, name)
        wait_for(lambda: count_reports(delivered=True) == 10)
    assert not any(made.broken for made in services)
    assert len({report["key"] for report in printed()}) == 10
    with create_session() as session:
        written = session.execute(sa.select(outbox.REPORTS.c.run_id, outbox.REPORTS.c.route)).all()
    assert sorted(written) == sorted((f"run-{number}", route) for number in range(2) for route in ALL_ROUTES)


@pytest.mark.full
def test_the_command_ends_when_it_is_told_to(clean_database: Path) -> None:
    """By one signal: the next test has the other one as well."""
    code = "import sys; from cwl_airflow.commands.reports import main; sys.exit(main([]))"
    with subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ)) as process:
        try:
            wait_for(lambda: has_table(clean_database, "cwl_airflow_version"))
            # The handlers of signals come right after the tables.
            time.sleep(2)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def has_table(database: Path, name: str) -> bool:
    # Without a pool: a connection that stays open would hold the file of the next test.
    with sa.create_engine(f"sqlite:///{database}", poolclass=sa.pool.NullPool).connect() as connection:
        return bool(sa.inspect(connection).has_table(name))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("broken", [False, True])
def test_the_command_says_whether_it_broke(monkeypatch: pytest.MonkeyPatch, broken: bool, number: int) -> None:
    class Service:
        stop = threading.Event()

        def __init__(self) -> None:
            self.broken = False

        def run(self) -> None:
            os.kill(os.getpid(), number)
            assert self.stop.wait(10)
            self.broken = broken

    monkeypatch.setattr(notices_site, "make_service", Service)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert command.main([]) == int(broken)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
