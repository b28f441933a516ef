"""Workers that are asked to stop a run: over a broker in memory, by the command that Celery's workers answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.configuration import conf
from airflow.providers.celery.executors import celery_executor_utils
from billiard.exceptions import WorkerLostError
from celery import Celery
from celery.worker.control import Panel
from cwl_airflow.commands import stop as stop_command
from cwl_airflow.stopping import celery_command, database, site
from cwl_airflow.stopping.coordinator import RunStopper
from cwl_airflow.stopping.model import COMMAND, Deadline, EndTimes, NotStopped, RunReference, StopRequest, WorkerAnswer
from cwl_airflow.stopping.workers import CeleryWorkers
from rows import DAG, RUN, add_run, add_task

REQUEST = StopRequest(RunReference(DAG, RUN, None, [], []), EndTimes(0, 1))
HOST = socket.gethostname()


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Celery:
    """Return the app of a site whose broker is in this process' memory."""
    monkeypatch.setattr("cwl_airflow.stopping.workers.ANSWER_TIMEOUT", 0.5)
    return Celery("test", broker=f"memory://{time.monotonic_ns()}", backend=f"db+sqlite:///{tmp_path}/results.db")


class Worker:
    """The part of a worker that answers remote control commands, in a thread."""

    def __init__(self, app: Celery, name: str, handlers: dict[str, Any]) -> None:
        """Listen."""
        self._connection = app.connection_for_read()
        node = app.control.mailbox.Node(name, state=None, handlers=handlers, channel=self._connection.channel())
        self._consumer = node.listen()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self._connection.drain_events(timeout=0.05)
            except TimeoutError:
                continue

    def stop(self) -> None:
        """Answer no more."""
        self._stopping.set()
        self._thread.join()
        self._connection.close()


@pytest.fixture
def start(app: Celery) -> Iterator[Any]:
    """Return a function that starts a worker with a name."""
    started = []

    def begin(name: str, answer: Any = celery_command.answer_request) -> Worker:
        started.append(Worker(app, name, {COMMAND: answer}))
        return started[-1]

    yield begin
    for worker in started:
        worker.stop()


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the folders of the engine a test's own, and return that of intermediate data."""
    for name in ("tmp_folder", "outputs_folder", "inputs_folder", "pickle_folder"):
        monkeypatch.setenv(f"AIRFLOW__CWL__{name.upper()}", str(tmp_path / name))
    monkeypatch.setattr(celery_command, "_agents", {})
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path / "tmp_folder"


def ask(app: Celery, key: str = "key", **more: Any) -> Any:
    return CeleryWorkers(app).ask(key, REQUEST, **{"destination": None, "expected": None, **more})


def test_workers_answer(app: Celery, start: Any) -> None:
    seen = []

    def answer(_state: object, **arguments: Any) -> dict[str, Any]:
        seen.append(arguments)
        return {"host": "here", "remaining": None}

    start("one@here", answer)
    start("two@here", answer)
    assert ask(app) == {name: WorkerAnswer("here", None) for name in ("one@here", "two@here")}
    assert seen[0] == {"key": "key", "request": REQUEST.to_json()}
    assert StopRequest.from_json(seen[0]["request"]) == REQUEST
    assert ask(app, destination=["two@here"], expected=1) == {"two@here": WorkerAnswer("here", None)}


@pytest.mark.full
def test_it_waits_for_no_more_answers_than_it_expects(app: Celery, start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cwl_airflow.stopping.workers.ANSWER_TIMEOUT", 30)
    start("one@here", lambda _state, **_: {"host": "here", "remaining": []})
    began = time.monotonic()
    assert len(ask(app, expected=1)) == 1
    assert time.monotonic() - began < 15


def test_nobody_answers(app: Celery) -> None:
    assert ask(app) == {}


@pytest.mark.full
def test_a_worker_that_does_not_know_how(app: Celery, start: Any) -> None:
    start("old@here", lambda _state, **_: {"error": "KeyError"})
    with pytest.raises(NotStopped, match=r"Worker old@here cannot stop a run: .*KeyError.* is marked as failed"):
        ask(app)


@pytest.mark.full
def test_the_broker_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        app = Celery("test", broker=f"amqp://127.0.0.1:{closed.getsockname()[1]}//")
        with pytest.raises(NotStopped, match=r"The broker cannot be reached: .*refused.* try again"):
            ask(app)


@pytest.mark.full
@pytest.mark.usefixtures("clean_database")
def test_a_run_is_stopped_by_a_worker(app: Celery, start: Any, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts the program that ends what is on its host, and that which removes the data."""
    # Also on a busy machine no answer is to be missed: another question would start a third program.
    monkeypatch.setattr("cwl_airflow.stopping.workers.ANSWER_TIMEOUT", 3)
    data = folders / DAG / RUN
    data.mkdir(parents=True)
    add_run()
    add_task("a", "running", 1, hostname=HOST)
    start("a@here")
    start("b@there", lambda _state, **_: {"host": "there", "remaining": []})
    assert RunStopper(database, CeleryWorkers(app)).stop(DAG, RUN, (), Deadline(time.monotonic(), 60))
    assert not data.exists()
    assert database.mark_failed(DAG, RUN) is None
    # One to end what runs, one to remove the data.
    assert len(celery_command._agents) == 2


def test_only_what_its_supervisor_saw_to_the_end_has_surely_ended(app: Celery) -> None:
    app.backend.mark_as_done("done", None)
    app.backend.mark_as_started("started")
    app.backend.mark_as_revoked("revoked")
    for name, error in {"lost": WorkerLostError("-9"), "refused a second time": RuntimeError("409")}.items():
        app.backend.mark_as_failure(name, error)
    known = {"done", "started", "revoked", "lost", "refused a second time", "unknown"}
    assert CeleryWorkers(app).find_ended(known) == {"done"}
    assert CeleryWorkers(app).find_ended(set()) == set()


@pytest.mark.full
@pytest.mark.usefixtures("clean_database")
def test_a_worker_that_is_being_stopped_need_not_answer(app: Celery, start: Any, folders: Path) -> None:
    add_run()
    add_task("a", "running", 1, hostname="stopping", external_executor_id="1")
    start("b@there", lambda _state, **_: {"host": "there", "remaining": []})
    stopper = RunStopper(database, CeleryWorkers(app))
    with pytest.raises(NotStopped, match="task a on stopping, whose worker does not answer"):
        stopper.stop(DAG, RUN, (), Deadline(time.monotonic(), 0))
    app.backend.mark_as_done("1", None)
    assert stopper.stop(DAG, RUN, (), Deadline(time.monotonic(), 60))
    assert database.mark_failed(DAG, RUN) is None


def test_old_requests_are_forgotten(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery_command, "REMEMBERED_REQUESTS", 2)
    answers = [celery_command.answer_request(None, key, REQUEST.to_json()) for key in "abc"]
    assert list(celery_command._agents) == ["b", "c"]
    assert answers[0]["host"] == HOST
    deadline = time.monotonic() + 60
    while (answer := celery_command.answer_request(None, "c", REQUEST.to_json()))["remaining"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert answer["remaining"] == []
    assert list(celery_command._agents) == ["b", "c"]


def test_celerys_workers_know_the_command() -> None:
    """Celery's own registry of commands, which it fills when it loads them."""
    import cwl_airflow.compat  # noqa: F401

    assert Panel.data[COMMAND] is celery_command.answer_request


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Keep what the command has stopped."""
    calls: list[Any] = []

    def stop_run(dag_id: str, run_id: str, gone: Any) -> bool:
        calls.append((dag_id, run_id, gone))
        if run_id == "stuck":
            raise NotStopped("Of run 'stuck' there is still: process 7")
        return run_id == RUN

    monkeypatch.setattr(site, "stop_run", stop_run)
    return calls


def test_the_command(stopped: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert stop_command.main([DAG, RUN, "--gone", "a", "--gone", "b"]) == 0
    assert capsys.readouterr().out == "Stopped and removed.\n"
    assert stop_command.main([DAG, "other"]) == 0
    assert capsys.readouterr().out == f"There is no run 'other' of DAG '{DAG}'.\n"
    assert stop_command.main([DAG, "stuck"]) == 1
    assert "process 7" in capsys.readouterr().err
    assert stopped == [(DAG, RUN, ["a", "b"]), (DAG, "other", []), (DAG, "stuck", [])]


@pytest.mark.full
@pytest.mark.usefixtures("clean_database")
def test_the_command_stops_a_run_of_this_site(
    app: Celery, start: Any, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery_executor_utils, "app", app)
    monkeypatch.setenv("AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME", "30")
    assert conf.getfloat("core", "killed_task_cleanup_time") == 30
    add_run()
    add_task("a", "running", 1, hostname="gone-host")
    start("one@here")
    assert stop_command.main([DAG, RUN, "--gone", "gone-host"]) == 0
    assert database.mark_failed(DAG, RUN) is None
