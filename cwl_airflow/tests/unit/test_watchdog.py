"""A service tells systemd that it is alive."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cwl_airflow import watchdog


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Return what systemd would listen to."""
    monkeypatch.setattr(watchdog, "_told", 0)
    monkeypatch.setenv("WATCHDOG_USEC", "600000000")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60)
        yield listening


def test_a_service_is_alive_and_has_less_time_once_it_is_up(manager: socket.socket) -> None:
    said = []
    for _ in range(6):
        watchdog.tell_alive("whatever", "an event", "gives")
        said.append(manager.recv(100))
    assert said == [b"WATCHDOG=1"] * 3 + [b"WATCHDOG=1\nWATCHDOG_USEC=60000000"] + [b"WATCHDOG=1"] * 2


def test_an_address_may_be_no_file(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0cwl-airflow-test-watchdog")
        listening.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", "@cwl-airflow-test-watchdog")
        watchdog.tell_alive()
        assert listening.recv(100).startswith(b"WATCHDOG=1")


@pytest.mark.parametrize("missing", ["NOTIFY_SOCKET", "WATCHDOG_USEC"])
def test_where_nobody_asks_nothing_is_said(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    watchdog.tell_alive()
    assert not drained(manager)


def test_nobody_listens(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/no/such/socket")
    watchdog.tell_alive()


def test_a_manager_that_does_not_read_holds_up_nobody(manager: socket.socket) -> None:
    for _ in range(1000):
        watchdog.tell_alive()
    assert drained(manager)


def drained(manager: socket.socket) -> bool:
    """Read what was said until now, and tell whether there was anything."""
    manager.setblocking(False)
    said = 0
    try:
        while True:
            said += len(manager.recv(100))
    except BlockingIOError:
        return said > 0
    finally:
        manager.settimeout(60)


def test_a_process_is_alive_as_long_as_it_runs(manager: socket.socket) -> None:
    program = "import time; from cwl_airflow import watchdog as w; w.PAUSE = 0.01; w.keep_telling(); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program]) as service:
        try:
            assert [manager.recv(100)[:10] for _ in range(3)] == [b"WATCHDOG=1"] * 3
            service.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, service.pid, os.WSTOPPED)
            drained(manager)
            time.sleep(0.2)
            assert not drained(manager)
        finally:
            service.kill()


def test_a_server_is_alive_as_long_as_its_loop_turns(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "PAUSE", 0.01)
    passed: list[str] = []

    async def application(scope: dict[str, str], _receive: object, _send: object) -> None:
        passed.append(scope["type"])
        await asyncio.sleep(0.2)

    async def serve() -> None:
        server = watchdog.WatchdogMiddleware(application)
        await server({"type": "http"}, None, None)
        assert not drained(manager)
        await server({"type": "lifespan"}, None, None)
        assert drained(manager)
        time.sleep(0.2)  # the loop hangs
        assert not drained(manager)

    asyncio.run(serve())
    assert passed == ["http", "lifespan"]
