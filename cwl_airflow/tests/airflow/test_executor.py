"""The executor with which a scheduler rests."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import rows
from cwl_airflow.executor import RestingCeleryExecutor, wait_for_runs

from cwl_airflow import executor


def test_it_waits_for_no_longer_than_it_is_told(clean_database: Path) -> None:
    for state in ("success", "failed"):
        rows.add_run(state, state=state, logical_date=None)
    began = time.monotonic()
    wait_for_runs(0.3)
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_ends_the_wait(clean_database: Path, state: str) -> None:
    timer = threading.Timer(0.2, rows.add_run, kwargs={"state": state})
    timer.start()
    began = time.monotonic()
    wait_for_runs(300)
    assert time.monotonic() - began < 200
    timer.join()
    wait_for_runs(300)
    assert time.monotonic() - began < 200


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
