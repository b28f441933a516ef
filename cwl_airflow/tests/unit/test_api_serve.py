"""The server of the CWL API, with real clients over loopback."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from cwl_airflow.api import serve
from cwl_airflow.api.bodies import BodyMiddleware
from cwl_airflow.api.limits import LARGEST_UPLOAD

Ask = Callable[..., bytes]


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length of what was sent."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    body = b"x" * 30_000_000 if scope["path"] == "/large" else str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Running:
    """A server in a thread."""

    def __init__(self) -> None:
        """Start it."""
        self.bodies = BodyMiddleware(_application, LARGEST_UPLOAD, 2**20)
        self.server = serve.Server(self.bodies, "127.0.0.1", 0)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        deadline = time.monotonic() + 10
        while not self.server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Stop it as the service does."""
        self.server.should_exit = True
        self.thread.join(timeout=20)
        assert not self.thread.is_alive()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """Return a server with short times."""
    monkeypatch.setattr(serve, "DEADLINE", 2)
    monkeypatch.setattr(serve, "GRACE", 3)
    made = Running()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def client(server: Running) -> Iterator[Callable[..., socket.socket]]:
    """Return what connects, and sends something."""
    with ExitStack() as stack:

        def connect(*sent: bytes) -> socket.socket:
            made = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
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


@pytest.mark.full
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


@pytest.mark.full
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


def test_all_bodies_together_are_limited(server: Running, client: Callable[..., socket.socket]) -> None:
    first = client(_head("POST", "/", f"Content-Length: {2**20}"), bytes(600_000))
    deadline = time.monotonic() + 10
    while server.bodies.waiting < 600_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert _answer(client(_head("POST", "/", f"Content-Length: {2**20}"), bytes(600_000)))[0] == 503
    assert server.bodies.waiting <= 2**20
    assert _answer(client(_head())) == (200, b"0")
    first.sendall(bytes(2**20 - 600_000))  # what came first goes on
    assert _answer(first) == (200, str(2**20).encode())


def test_all_bodies_are_forgotten_when_they_are_answered_or_their_clients_gone(
    server: Running, client: Callable[..., socket.socket]
) -> None:
    assert _answer(client(_head("POST", "/", "Content-Length: 900000"), bytes(900_000)))[0] == 200
    client(_head("POST", "/", "Content-Length: 900000"), bytes(800_000)).close()
    deadline = time.monotonic() + 10
    while server.bodies.waiting:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.full
def test_a_client_that_does_not_read_its_answer_is_gone_after_its_time(
    server: Running, client: Callable[..., socket.socket]
) -> None:
    made = client(_head("GET", "/large"))
    assert made.recv(100).startswith(b"HTTP/1.1 200 ")
    deadline = time.monotonic() + 10
    while server.server.server_state.connections:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_too_many_clients_are_refused(client: Callable[..., socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "CONNECTIONS", 2)
    first = client(_head("POST", "/", "Content-Length: 1"))
    client(_head("POST", "/", "Content-Length: 1"))
    time.sleep(0.2)
    assert _answer(client(_head()))[0] == 503
    first.sendall(b"1")
    assert _answer(first) == (200, b"1")


def test_what_is_worked_on_ends_before_the_server_does(server: Running, client: Callable[..., socket.socket]) -> None:
    works, idle, sends = client(_head("GET", "/slow")), client(), client(_head("POST", "/", "Content-Length: 1"))
    time.sleep(0.3)
    began = time.monotonic()
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    assert _answer(works) == (200, b"0")
    assert _all(idle) == b""
    with suppress(ConnectionResetError):
        assert _all(sends) == b""
    stopping.join()
    assert time.monotonic() - began < 2.5


#: Serves what works for longer than a service has to stop, in a thread.
STUCK = """
import sys, time
from anyio.to_thread import run_sync
from cwl_airflow.api import serve
async def application(scope, receive, send):
    assert scope["type"] == "http"
    print("begun", flush=True)
    await run_sync(time.sleep, 60)
serve.GRACE = 1
serve.Server(application, "127.0.0.1", int(sys.argv[1])).run()
"""


@pytest.mark.full
def test_what_does_not_end_in_time_does_not_keep_the_server() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, "-c", STUCK, str(port)], stdout=subprocess.PIPE, text=True) as server:
        deadline = time.monotonic() + 30
        while True:
            try:
                made = socket.create_connection(("127.0.0.1", port))
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        with made:
            made.sendall(_head())
            assert server.stdout is not None
            while server.stdout.readline() != "begun\n":
                assert server.poll() is None
            began = time.monotonic()
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=20) == -signal.SIGTERM
            assert time.monotonic() - began < 10


def test_each_answer_is_noted_without_its_query(
    client: Callable[..., socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger=serve.log.name):
        assert _answer(client(_head("GET", "/a%0Ab?conf=secret")))[0] == 200
        assert _answer(client(b"nonsense\r\n\r\n"))[0] == 400
        deadline = time.monotonic() + 10
        while not any('" 400 ' in line for line in caplog.messages):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert any(line.startswith('127.0.0.1 "GET /a%0Ab" 200 ') for line in caplog.messages)
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("text", "found"), [("127.0.0.1:8081", ("127.0.0.1", 8081)), ("[::1]:80", ("::1", 80)), ("host:1", ("host", 1))]
)
def test_where_to_listen(text: str, found: tuple[str, int]) -> None:
    assert serve.address(text) == found


@pytest.mark.parametrize("text", ["", "8081", ":8081", "host", "host:", "host:x", "::1:80", "[]:80", "a:1\n"])
def test_nowhere_to_listen(text: str) -> None:
    with pytest.raises(SystemExit):
        serve.main(["--bind", text])
