"""The executor with which a scheduler rests."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import rows
import sqlalchemy as sa
from airflow.models import DagModel
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.utils.session import create_session
from cwl_airflow.executor import RestingCeleryExecutor, wait_for_runs

from cwl_airflow import executor


def test_it_waits_for_no_longer_than_it_is_told(clean_database: Path) -> None:
    for state in ("success", "failed"):
        rows.add_run(state, state=state, logical_date=None)
    began = time.monotonic()
    wait_for_runs(0.3)
    assert time.monotonic() - began >= 0.3


@pytest.fixture
def dag(clean_database: Path) -> None:
    """Add a DAG."""
    with DAG(rows.DAG, schedule=None) as dag:
        EmptyOperator(task_id="start")
    rows.add_dag(dag)
    with create_session() as session:
        session.execute(sa.update(DagModel).values(is_paused=False))


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_ends_the_wait(dag: None, state: str) -> None:
    timer = threading.Timer(0.2, rows.add_run, kwargs={"state": state})
    timer.start()
    began = time.monotonic()
    wait_for_runs(30)
    assert time.monotonic() - began < 25
    timer.join()
    wait_for_runs(30)
    assert time.monotonic() - began < 25


@pytest.mark.parametrize("column", ["is_paused", "is_stale"])
def test_a_run_that_no_scheduler_looks_at_does_not(dag: None, column: str) -> None:
    rows.add_run()
    with create_session() as session:
        session.execute(sa.update(DagModel).values({column: True}))
    began = time.monotonic()
    wait_for_runs(0.3)
    assert time.monotonic() - began >= 0.3


def test_a_database_that_is_away_is_for_the_scheduler_to_find(
    clean_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = sa.create_engine(f"sqlite:///{clean_database.parent}/none/at/all.db")
    monkeypatch.setattr(executor, "get_engine", lambda: away)
    wait_for_runs(30)


@pytest.mark.parametrize("busy", [None, "queued_tasks", "queued_callbacks", "running", "event_buffer"])
def test_it_rests_only_if_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch, busy: str | None) -> None:
    rested: list[float] = []
    monkeypatch.setattr(executor, "wait_for_runs", rested.append)
    monkeypatch.setattr(executor.CeleryExecutor, "heartbeat", lambda self: None)
    resting: Any = RestingCeleryExecutor(parallelism=1)
    if busy == "running":
        resting.running.add("task")
    elif busy:
        getattr(resting, busy)["task"] = "value"
    resting.heartbeat()
    assert rested == ([] if busy else [executor.LONGEST])
