"""The command that triggers: what it sends to a real HTTP server, and what it says of the answer."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cwl_airflow.commands import trigger

CONF = '{"job": {"a": "ä"}}'


class Server(HTTPServer):
    """Keeps what it was sent, and answers with a status."""

    status = 200
    received: tuple[str, Any] | None = None


class Handler(BaseHTTPRequestHandler):
    """Takes what is posted."""

    server: Server

    def do_POST(self) -> None:
        """Keep the body."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received = (self.path, body)
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b'{"said": "so"}\n')

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def key(tmp_path: Path) -> tuple[str, Any]:
    made = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "key.pem"
    file.write_bytes(
        made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(file), made.public_key()


def run(server: Server, *arguments: str) -> int:
    url = f"http://127.0.0.1:{server.server_port}/"
    return trigger.main(["-u", url, "-d", "a/b", "-r", "one", "-c", CONF, *arguments])


def test_token_is_of_exactly_run_id_and_conf(
    server: Server, key: tuple[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(server, "-k", key[0], "-a", "ES256") == 0
    assert server.received
    path, body = server.received
    assert path == "/api/experimental/dags/a%2Fb/dag_runs"
    assert jwt.decode(body.pop("token"), key[1], algorithms=["ES256"]) == body == {"run_id": "one", "conf": CONF}
    assert json.loads(capsys.readouterr().out) == {"said": "so"}


def test_strict_token_names_dag_and_end(server: Server, key: tuple[str, Any]) -> None:
    began = int(time.time())
    assert run(server, "-k", key[0], "-a", "ES256", "-s") == 0
    assert server.received
    claims = jwt.decode(server.received[1]["token"], key[1], algorithms=["ES256"])
    assert claims["dag_id"] == "a/b"
    assert began + 60 <= claims["exp"] <= time.time() + 60


def test_without_a_key_nothing_is_signed(server: Server) -> None:
    assert run(server) == 0
    assert server.received and server.received[1] == {"run_id": "one", "conf": CONF}


def test_refusal_is_told_and_is_a_failure(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.status = 403
    assert run(server) == 1
    assert "so" in capsys.readouterr().err


def test_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert trigger.main(["-u", "http://127.0.0.1:9", "-d", "a", "-r", "b", "-c", "{}"]) == 1
    assert "refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-c", "{"], "-c {: not JSON"),
        (["-c", "{}", "-k", "/nowhere"], "-k /nowhere -a RS256"),
        (["-c", "{}", "-k", __file__], f"-k {__file__} -a RS256"),
        (["-c", "{}", "-k", __file__, "-a", "RS1"], "-a RS1"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        trigger.main(["-d", "a", "-r", "b", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_it_does_not_load_airflow() -> None:
    code = "import sys; import cwl_airflow.commands.trigger; print([m for m in sys.modules if m.startswith('airflow')])"
    environment = {"PYTHONPATH": str(Path(trigger.__file__).parents[2])}
    assert subprocess.check_output([sys.executable, "-c", code], env=environment, text=True).strip() == "[]"
