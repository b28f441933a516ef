"""The server of the CWL API, with real clients over loopback."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from cwl_airflow.api import serve
from cwl_airflow.api.limits import LARGEST_UPLOAD

Ask = Callable[..., bytes]


def _application(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    """Answer with the length of what was sent."""
    body = str(len(environ["wsgi.input"].read())).encode()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[serve.Server]:
    """Return a server with short times."""
    monkeypatch.setattr(serve, "DEADLINE", 2)
    monkeypatch.setattr(serve, "LARGEST_WAITING", 2**20)
    made = serve.Server(_application, "127.0.0.1:0")
    made.adj.cleanup_interval = 0.2
    made.adj.asyncore_loop_timeout = 0.1
    ends = threading.Event()

    def run() -> None:
        while not ends.is_set():
            made.asyncore.loop(timeout=0.1, map=made._map, use_poll=True, count=1)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield made
    finally:
        ends.set()
        thread.join()
        made.task_dispatcher.shutdown()
        made.asyncore.close_all(made._map)


@pytest.fixture
def client(server: serve.Server) -> Iterator[Callable[..., socket.socket]]:
    """Return what connects, and sends something."""
    with ExitStack() as stack:

        def connect(*sent: bytes) -> socket.socket:
            made = stack.enter_context(socket.create_connection(("127.0.0.1", int(server.effective_port)), timeout=20))
            for data in sent:
                made.sendall(data)
            return made

        yield connect


def _all(client: socket.socket) -> bytes:
    """Return what comes until the server closes the connection."""
    found = b""
    while data := client.recv(65536):
        found += data
    return found


def _head(method: str = "GET", path: str = "/", *more: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *more, "", ""]).encode()


def _answer(client: socket.socket) -> tuple[int, bytes]:
    with client.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        length = 0
        while (line := stream.readline()).strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return status, stream.read(length)


def test_a_request_is_answered(client: Callable[..., socket.socket]) -> None:
    made = client(_head("POST", "/", "Content-Length: 5"), b"12345")
    assert _answer(made) == (200, b"5")
    made.sendall(_head("POST", "/", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n")
    assert _answer(made) == (200, b"3")


def test_slow_clients_hold_up_nobody(client: Callable[..., socket.socket]) -> None:
    for _ in range(70):
        client()  # says nothing
        client(b"GET / HTTP/1.1\r\nHos")
        client(_head("POST", "/", "Content-Length: 100"), b"1")
    began = time.monotonic()
    assert _answer(client(_head())) == (200, b"0")
    assert time.monotonic() - began < 1


def test_a_byte_now_and_then_gives_no_more_time(client: Callable[..., socket.socket]) -> None:
    made = client(_head("POST", "/", "Content-Length: 1000"))
    began = time.monotonic()
    made.settimeout(0.2)
    while time.monotonic() - began < 20:
        try:
            made.sendall(b"1")
            if made.recv(100) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    assert 1.5 < time.monotonic() - began < 6


def test_a_client_may_think_before_its_next_request(client: Callable[..., socket.socket]) -> None:
    made = client(_head())
    assert _answer(made) == (200, b"0")
    time.sleep(1.5)  # of 2 s
    made.sendall(_head("POST", "/", "Content-Length: 2") + b"1")
    time.sleep(1)  # together more than 2 s
    made.sendall(b"2")
    assert _answer(made) == (200, b"2")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (_head("POST", "/", f"Content-Length: {LARGEST_UPLOAD + 1}"), 413),
        (_head("POST", "/", f"Content-Length: {10**30}"), 413),
        (_head("POST", "/", "Content-Length: -1"), 400),
        (_head("POST", "/", "Transfer-Encoding: gzip"), 501),
        (_head("GET", "/", "X: " + "x" * serve.LARGEST_HEAD), 431),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_what_is_refused_is_a_problem(client: Callable[..., socket.socket], sent: bytes, status: int) -> None:
    answer = _all(client(sent))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"HTTP/1.1 {status} ".encode() in head or f"HTTP/1.0 {status} ".encode() in head
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == status
    assert json.loads(body)["detail"].endswith(".")


def test_all_bodies_together_are_limited(server: serve.Server, client: Callable[..., socket.socket]) -> None:
    first = client(_head("POST", "/", f"Content-Length: {2**20}"), bytes(600_000))
    deadline = time.monotonic() + 10
    while server.waiting() < 600_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert _answer(client(_head("POST", "/", f"Content-Length: {2**20}"), bytes(600_000)))[0] == 503
    assert server.waiting() <= 2**20
    assert _answer(client(_head())) == (200, b"0")
    first.sendall(bytes(2**20 - 600_000))  # what came first goes on
    assert _answer(first) == (200, str(2**20).encode())


def test_each_answer_is_noted_without_its_query(
    client: Callable[..., socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger=serve.log.name):
        assert _answer(client(_head("GET", "/a%0Ab?conf=secret")))[0] == 200
        assert _answer(client(b"nonsense\r\n\r\n"))[0] == 400
        deadline = time.monotonic() + 10
        while len(caplog.messages) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert any(line.startswith('127.0.0.1 "GET /a%0Ab" 200 ') for line in caplog.messages)
    assert any('" 400 ' in line for line in caplog.messages)
    assert "secret" not in caplog.text
