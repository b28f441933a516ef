"""A worker of which the broker has no consumer connects again."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import celery
import pytest
from cwl_airflow.consumers import ConsumerWatch

from cwl_airflow import consumers


class Looks:
    """What looks find, one after the other, the last one for ever."""

    def __init__(self, *found: bool | None) -> None:
        """Take what they find."""
        self.found = [*found]
        self.number = 0

    def __call__(self) -> bool | None:
        """Find the next."""
        self.number += 1
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> ConsumerWatch:
    """Return a watch that looks all the time."""
    monkeypatch.setattr(consumers, "PAUSE", 0.001)
    app = celery.Celery(broker="amqp://127.0.0.1:1//")
    app.amqp.queues.select(["default"])
    return ConsumerWatch(SimpleNamespace(app=app, hostname="worker@host"))


@pytest.fixture
def asked(watch: ConsumerWatch, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a function that watches for some looks, and returns how often the worker was to connect again."""

    def look(*found: bool | None, looks: int = 12) -> int:
        calls: list[Any] = []
        each = Looks(*found)
        monkeypatch.setattr(watch, "is_consumed", each)
        watch.begin(SimpleNamespace(call_soon=lambda do, seen: calls.append(do)))
        until = time.monotonic() + 30
        while each.number < looks and time.monotonic() < until and not watch._ended.is_set():
            time.sleep(0.001)
        watch.end()
        for thread in threading.enumerate():
            if thread.name == "consumers":
                thread.join(30)
        return len(calls)

    return look


def test_a_worker_consumes_one_queue_more(watch: ConsumerWatch) -> None:
    queue = watch._app.amqp.queues.consume_from["worker@host.alive"]
    assert (queue.durable, queue.auto_delete, queue.routing_key) == (True, True, "worker@host.alive")
    assert {*watch._app.amqp.queues.consume_from} == {"default", "worker@host.alive"}


@pytest.mark.full
def test_a_broker_that_is_away_says_nothing(watch: ConsumerWatch) -> None:
    assert watch.is_consumed() is None


@pytest.mark.parametrize(
    "found", [(True,), (None,), (False, False, True), (False, None, False, False, True), (False, False, None)]
)
def test_a_worker_that_is_consumed_or_connects_by_itself_is_left_alone(
    asked: Callable[..., int], found: tuple[bool | None, ...]
) -> None:
    assert asked(*found) == 0


def test_one_that_is_not_connects_again(asked: Callable[..., int]) -> None:
    assert asked(True, False, False, False, True) == 1


def test_if_that_does_not_help_it_ends(asked: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    killed = []

    def kill(_process: int, number: int) -> None:
        killed.append(number)

    monkeypatch.setattr(consumers.os, "kill", kill)
    assert asked(False, looks=4 * consumers.LOOKS) == consumers.ATTEMPTS
    assert killed == [signal.SIGTERM]


def test_it_connects_again_with_all_its_queues(watch: ConsumerWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    watch._app.amqp.queues.deselect(["default"])
    monkeypatch.setattr(consumers, "PAUSE", 12)
    with pytest.raises(ConnectionResetError):
        watch._lose_connection(time.monotonic())
    assert {*watch._app.amqp.queues.consume_from} == {"default", "worker@host.alive"}


def test_it_does_not_if_celery_has_meanwhile(watch: ConsumerWatch) -> None:
    """Its event loop stands still until then."""
    watch._lose_connection(time.monotonic() - 60)


def test_a_worker_that_ends_is_left_alone(watch: ConsumerWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    watch.end()
    monkeypatch.setattr(watch, "is_consumed", pytest.fail)
    watch._watch(None)
