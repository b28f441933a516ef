"""The receiver that prints: where it listens, what it takes, and that it ends when it is told to."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from cwl_airflow.commands import receiver

COMMAND = [sys.executable, "-u", "-m", "cwl_airflow.commands.receiver"]


@pytest.fixture
def started() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Return a receiver and its URL."""
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(
        [*COMMAND, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr
        line = process.stderr.readline()
        assert line.endswith("/ takes reports\n")
        yield process, line.split()[0]
        process.kill()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 0)])
def test_it_prints_reports_until_it_is_told_to_stop(
    started: tuple[subprocess.Popen[str], str], number: int, status: int
) -> None:
    process, url = started
    answer = requests.post(
        f"{url}v1/status", json={"payload": {"a": "ä"}}, headers={"Idempotency-Key": "k"}, timeout=10
    )
    assert answer.status_code == 200
    assert process.stdout
    expected = {"route": "status", "path": "/v1/status", "key": "k", "payload": {"a": "ä"}}
    assert json.loads(process.stdout.readline()) == expected
    process.send_signal(number)
    assert process.wait(30) == status


@pytest.mark.parametrize(("length", "status"), [(None, 411), ("x", 411), (str(2**40), 413)])
def test_what_has_no_length_or_too_much_is_refused(
    started: tuple[subprocess.Popen[str], str], length: str | None, status: int
) -> None:
    connection = http.client.HTTPConnection(started[1].split("/")[2], timeout=10)
    connection.putrequest("POST", "/status")
    if length:
        connection.putheader("Content-Length", length)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == status
    assert answer.headers["Connection"] == "close"
    connection.close()


def test_a_key_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        receiver.main(["--public-key", "/nowhere/key.pem"])
    assert ended.value.code == 2
    assert "/nowhere/key.pem with RS256: " in capsys.readouterr().err


def test_it_serves_what_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr(receiver.PrintingServer, "serve_forever", lambda server: served.append(server))
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert receiver.main(["--port", "0"]) == 0
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert (served[0].key, served[0].algorithm, served[0].server_address[0]) == (None, "RS256", "127.0.0.1")
