"""The executor with which a scheduler rests."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rows
import sqlalchemy as sa
from airflow.exceptions import AirflowTaskTimeout
from airflow.models import DagModel, DagRun, TaskInstance
from airflow.models.dag_version import DagVersion
from airflow.providers.celery.executors.celery_executor import CeleryExecutor
from airflow.providers.celery.executors.celery_executor_utils import ExceptionWithTraceback
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.utils.session import create_session
from celery.result import AsyncResult
from celery.states import PENDING, STARTED, SUCCESS
from cwl_airflow.executor import ACTIVE, FULL, IDLE, Pace, RestingCeleryExecutor, later_if_away, wait_for_work
from kombu.exceptions import OperationalError

from cwl_airflow import executor

PATIENT, IMPATIENT = Pace(longest=30, pause=0.05), Pace(longest=0.3, pause=0.05)
NOTHING = (0, None) * 3


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run that is running be looked at as seldom as the test says."""
    monkeypatch.setattr(executor, "ACTIVE", PATIENT)


def waited(known: tuple[Any, ...], pace: Pace) -> tuple[float, tuple[Any, ...]]:
    """Wait for work.

    :returns: for how many seconds, and what there is then.
    """
    began = time.monotonic()
    known = wait_for_work(known, pace)
    return time.monotonic() - began, known


def test_it_waits_for_no_longer_than_it_is_told(clean_database: Path) -> None:
    for state in ("success", "failed"):
        rows.add_run(state, state=state, logical_date=None)
    passed, known = waited((), IMPATIENT)
    assert passed >= 0.3
    assert known == NOTHING


@pytest.fixture
def dag(clean_database: Path) -> None:
    """Add a DAG."""
    with DAG(rows.DAG, schedule=None) as dag:
        EmptyOperator(task_id="start")
    rows.add_dag(dag)
    with create_session() as session:
        session.execute(sa.update(DagModel).values(is_paused=False))


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_ends_the_wait_once(dag: None, state: str) -> None:
    timer = threading.Timer(0.2, rows.add_run, kwargs={"state": state})
    timer.start()
    passed, known = waited(NOTHING, PATIENT)
    assert passed < 25
    timer.join()
    assert waited((), PATIENT)[0] < 25
    passed, still = waited(known, IMPATIENT)
    assert passed >= 0.3
    assert still == known


def looked_at(ended: timedelta | None) -> None:
    """Let a scheduler have looked at the run a second ago.

    :param ended: how much later its task ended; none if it has not.
    """
    looked = datetime.now(timezone.utc) - timedelta(seconds=1)
    state = {"state": None if ended is None else "success", "updated_at": looked + (ended or timedelta())}
    with create_session() as session:
        session.execute(sa.update(DagRun).values(last_scheduling_decision=looked, state="running"))
        session.execute(sa.update(TaskInstance).values(**state))


@pytest.mark.parametrize(
    ("ended", "wakes"), [(None, False), (timedelta(seconds=-1), False), (timedelta(milliseconds=1), True)]
)
def test_a_task_that_has_ended_since_the_scheduler_looked_ends_the_wait(
    dag: None, monkeypatch: pytest.MonkeyPatch, ended: timedelta | None, wakes: bool
) -> None:
    rows.add_run(state="running")
    rows.add_task("start", "running", 0)
    looked_at(ended)
    monkeypatch.setattr(executor, "ACTIVE", PATIENT if wakes else IMPATIENT)
    passed, known = waited(NOTHING, PATIENT)
    assert (known != NOTHING) is wakes
    assert passed < 25 if wakes else passed >= 0.3


def test_runs_that_are_running_are_looked_at_more_often(dag: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rows.add_run(state="running")
    looked_at(None)
    monkeypatch.setattr(executor, "ACTIVE", IMPATIENT)
    assert 0.3 <= waited(NOTHING, PATIENT)[0] < 25


@pytest.mark.parametrize("column", ["is_paused", "is_stale"])
def test_a_run_that_no_scheduler_looks_at_does_not(dag: None, column: str) -> None:
    rows.add_run()
    with create_session() as session:
        session.execute(sa.update(DagModel).values({column: True}))
    passed, known = waited((), IMPATIENT)
    assert passed >= 0.3
    assert known == NOTHING


def test_a_database_that_is_away_is_for_the_scheduler_to_find(
    clean_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = sa.create_engine(f"sqlite:///{clean_database.parent}/none/at/all.db")
    monkeypatch.setattr(executor, "get_engine", lambda: away)
    passed, known = waited(("known",), PATIENT)
    assert passed < 25
    assert known == ("known",)


@pytest.mark.parametrize("busy", [None, "queued_tasks", "queued_callbacks", "running", "event_buffer", "full"])
def test_it_rests_as_long_as_what_there_is_to_do_lets_it(monkeypatch: pytest.MonkeyPatch, busy: str | None) -> None:
    rested: list[tuple[Any, Pace]] = []
    monkeypatch.setattr(executor, "ACTIVE", ACTIVE)
    monkeypatch.setattr(executor, "wait_for_work", lambda *given: rested.append(given) or ("now",))
    monkeypatch.setattr(executor.CeleryExecutor, "heartbeat", lambda self: None)
    resting: Any = RestingCeleryExecutor(parallelism=1 if busy == "full" else 2)
    if busy in ("running", "full"):
        resting.running.add("task")
    elif busy:
        getattr(resting, busy)["task"] = "value"
    resting.heartbeat()
    resting.heartbeat()
    pace = {None: IDLE, "full": FULL}.get(busy, ACTIVE)
    assert rested == ([] if busy == "event_buffer" else [((), pace), (("now",), pace)])


@pytest.mark.parametrize(
    ("error", "later"),
    [
        (OperationalError("[Errno 111] Connection refused"), True),
        (ConnectionResetError("reset"), True),
        (AirflowTaskTimeout("timed out"), True),
        (ValueError("it cannot be written"), False),
    ],
)
def test_what_the_broker_does_not_take_is_handed_over_later(error: BaseException, later: bool) -> None:
    result = later_if_away(ExceptionWithTraceback(error, "trace"))
    assert isinstance(result.exception, AirflowTaskTimeout) is later
    assert result.traceback == "trace"
    assert str(result.exception) == str(error)


def test_a_task_waits_for_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes, and then it is handed over once."""
    tried: list[int] = []

    def send(_executor: Any, tasks: Any) -> list[Any]:
        tried.append(1)
        away = ExceptionWithTraceback(OperationalError("away"), "trace")
        return [(key, task, away if len(tried) < 10 else SimpleNamespace(task_id="id")) for key, task, *_ in tasks]

    monkeypatch.setattr(CeleryExecutor, "_send_workloads_to_celery", send)
    tested = RestingCeleryExecutor()
    queue = tested.executor_queues["ExecuteTask"] if hasattr(tested, "executor_queues") else tested.queued_tasks
    queue["key"] = "task"
    while "key" in queue and len(tried) < 20:
        tested._send_workloads([("key", "task", "default", None)])
        assert not [state for state, _ in tested.event_buffer.values() if state == "failed"]
    assert len(tried) == 10
    assert "key" in tested.running


@pytest.mark.parametrize(
    ("state", "known", "again"),
    [
        ("queued", PENDING, True),
        ("queued", STARTED, False),
        ("queued", SUCCESS, False),
        ("running", PENDING, False),  # from before the result was written
    ],
)
def test_what_a_scheduler_that_ended_still_had_is_handed_over(
    dag: None, monkeypatch: pytest.MonkeyPatch, state: str, known: str, again: bool
) -> None:
    rows.add_run()
    rows.add_task("start", state=state)
    tested = RestingCeleryExecutor()

    def get_many(results: Any) -> Any:
        return {result.task_id: (known, None) for result in results}

    monkeypatch.setattr(tested.bulk_state_fetcher, "get_many", get_many)
    monkeypatch.setattr(AsyncResult, "result", None)
    with create_session() as session:
        (ti,) = session.scalars(sa.select(TaskInstance).where(TaskInstance.task_id == "start"))
        ti.external_executor_id = "its own"
        ti.dag_version_id = session.scalar(sa.select(DagVersion.id))
        assert not tested.try_adopt_task_instances([ti])
        workloads = [*getattr(tested, "executor_queues", {"ExecuteTask": tested.queued_tasks})["ExecuteTask"].values()]
        assert [workload.ti.external_executor_id for workload in workloads] == (["its own"] if again else [])
        assert [str(workload.ti.id) for workload in workloads] == ([str(ti.id)] if again else [])
        if again:
            assert workloads[0].token
        assert bool(tested.running) == (not again and known != SUCCESS)


def test_a_task_without_celerys_id_is_begun_anew(dag: None) -> None:
    rows.add_run()
    rows.add_task("start", state="queued")
    tested = RestingCeleryExecutor()
    with create_session() as session:
        (ti,) = session.scalars(sa.select(TaskInstance).where(TaskInstance.task_id == "start"))
        ti.external_executor_id = None
        assert [*tested.try_adopt_task_instances([ti])] == [ti]
    assert not tested.queued_tasks
