"""Signed with real keys, posted to a real receiver, in order and with patience."""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import URLError

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cwl_airflow.reports import deliver as delivery
from cwl_airflow.reports import printing_server
from cwl_airflow.reports import receiver as sending
from cwl_airflow.reports.deliver import ReportDelivery
from cwl_airflow.reports.outbox import Report
from cwl_airflow.reports.printing_server import PrintingServer

PAYLOAD = {"state": "success", "dag_id": "align", "run_id": "first", "progress": 100, "error": ""}


def pem(key: Any) -> tuple[str, str]:
    """Return a key and its public half."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.fixture(scope="module")
def keys() -> dict[str, tuple[str, str]]:
    return {
        "RS256": pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        "other": pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        "ES256": pem(ec.generate_private_key(ec.SECP256R1())),
        "EdDSA": pem(ed25519.Ed25519PrivateKey.generate()),
    }


def report(number: int, run: int = 1, route: str = "progress") -> Report:
    return Report(number, f"key-{number}", run, route, PAYLOAD)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_the_payload_is_a_jwt_of_it(keys: dict[str, tuple[str, str]], algorithm: str) -> None:
    private, public = keys[algorithm]
    body = sending.ReportReceiver("http://r/", None, sending.Signature(private, algorithm)).encode_body(PAYLOAD)
    content = json.loads(body)
    assert list(content) == ["payload"]
    assert jwt.decode(content["payload"], public, algorithms=[algorithm]) == PAYLOAD


def test_without_a_key_the_payload_is_itself() -> None:
    assert json.loads(sending.ReportReceiver("http://r/").encode_body(PAYLOAD)) == {"payload": PAYLOAD}


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        ("", "RS256"), ("garbage", "RS256"), ("RS256 public", "RS256"), ("RS256", "ES256"), ("RS256", "HS256"),
        ("RS256", "none"), ("", "none"), ("RS256", ""), ("RS256", "XS999"),
    ],
)  # fmt: skip
def test_a_key_that_cannot_sign_is_refused(keys: dict[str, tuple[str, str]], key: str, algorithm: str) -> None:
    name, _, public = key.partition(" ")
    text = keys[name][bool(public)] if name in keys else key
    with pytest.raises(sending.ReceiverMisconfigured, match="process_report_") as error:
        sending.Signature(text, algorithm)
    assert not text or text not in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(sending.ReceiverMisconfigured) as again:
        sending.Signature(text, algorithm)
    assert str(again.value) == str(error.value)  # it is logged once


@pytest.mark.parametrize(
    ("host", "schema", "port", "extra", "url"),
    [
        ("host", None, None, {}, "http://host/"),
        ("host", "https", 8443, {"endpoint": "satellite/v1/"}, "https://host:8443/satellite/v1/"),
        ("https://host", None, 8443, {"endpoint": "/a"}, "https://host:8443/a/"),
        ("http://host:1/b/", None, None, {"endpoint": None}, "http://host:1/b/"),
    ],
)
def test_the_url_of_a_connection(host: str, schema: str, port: int, extra: dict[str, Any], url: str) -> None:
    assert sending.connection_url(host, schema, port, extra) == url


def test_a_connection_without_a_host_is_refused() -> None:
    with pytest.raises(sending.ReceiverMisconfigured, match="has no host"):
        sending.connection_url(None, "http", 80, {})


@pytest.fixture
def start() -> Iterator[Callable[..., str]]:
    """Return a function that starts a receiver and returns its URL."""
    servers = []

    def started(key: str | None = None, algorithm: str = "RS256") -> str:
        server = PrintingServer(("127.0.0.1", 0), key, algorithm)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/satellite/v1/"

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_receiver_prints_what_it_verified(
    keys: dict[str, tuple[str, str]], start: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = start(keys["RS256"][1])
    with requests.Session() as session:
        for number in (1, 2):
            sending.ReportReceiver(url, None, sending.Signature(keys["RS256"][0], "RS256")).post(
                session, report(number)
            )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["key"] for line in lines] == ["key-1", "key-2"]
    assert lines[0]["path"] == "/satellite/v1/progress"
    assert (lines[0]["route"], lines[0]["payload"]) == ("progress", PAYLOAD)


@pytest.mark.parametrize("how", ["unsigned", "other key", "alg none", "public key as secret", "other algorithm"])
def test_a_receiver_refuses_what_is_not_signed_right(
    keys: dict[str, tuple[str, str]], start: Callable[..., str], capsys: pytest.CaptureFixture[str], how: str
) -> None:
    public = keys["RS256"][1]
    payload: Any = {
        "unsigned": lambda: PAYLOAD,
        "other key": lambda: jwt.encode(PAYLOAD, keys["other"][0], "RS256"),
        "alg none": lambda: jwt.encode(PAYLOAD, None, "none"),
        # PyJWT itself refuses a public key as a secret; an attacker's library does not.
        "public key as secret": lambda: hs256(PAYLOAD, public),
        "other algorithm": lambda: jwt.encode(PAYLOAD, keys["RS256"][0], "RS512"),
    }[how]()
    answer = requests.post(f"{start(public)}progress", json={"payload": payload}, timeout=10)
    assert answer.status_code == 403
    wrong = "the payload is not signed" if how == "unsigned" else "the payload's signature is not right: "
    assert answer.text.startswith(wrong)
    assert capsys.readouterr().out == ""


def hs256(payload: Any, secret: str) -> str:
    """Sign with any secret."""
    import base64
    import hmac

    def text(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    signed = f"{text(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())}.{text(json.dumps(payload).encode())}"
    return f"{signed}.{text(hmac.digest(secret.encode(), signed.encode(), 'sha256'))}"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"load": 1}'])
def test_a_receiver_refuses_what_is_no_report(start: Callable[..., str], body: bytes) -> None:
    assert requests.post(f"{start()}progress", data=body, timeout=10).status_code == 400


def test_what_a_receiver_answers(start: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    address = start().split("/")[2]
    connection = http.client.HTTPConnection(address, timeout=10)

    def post(body: bytes) -> list[Any]:
        connection.request("POST", "/v1/status", body, {"Idempotency-Key": "k"})
        answer = connection.getresponse()
        assert not answer.will_close
        headers = [answer.headers[name] for name in ("Content-Type", "Content-Length", "Connection")]
        return [answer.status, answer.read(), *headers]

    plain = "text/plain; charset=utf-8"
    assert post('{"payload": {"a": "ä"}}'.encode()) == [200, b"", plain, "0", None]
    assert post(b"[]") == [400, b"there is no payload\n", plain, "20", None]
    connection.close()
    said = capsys.readouterr()
    expected = {"route": "status", "path": "/v1/status", "key": "k", "payload": {"a": "ä"}}
    assert json.loads(said.out) == expected
    assert said.err == "/v1/status: 400: there is no payload\n"


@pytest.mark.parametrize(("length", "status"), [(None, 411), ("x", 411), ("-1", 411), ("14", 200), ("15", 413)])
def test_a_receiver_reads_no_more_than_a_report_may_have(
    start: Callable[..., str], monkeypatch: pytest.MonkeyPatch, length: str | None, status: int
) -> None:
    monkeypatch.setattr(printing_server, "LONGEST_REPORT", 14)
    connection = http.client.HTTPConnection(start().split("/")[2], timeout=10)
    connection.putrequest("POST", "/status")
    if length:
        connection.putheader("Content-Length", length)
    connection.endheaders(b'{"payload": 1}')
    answer = connection.getresponse()
    assert answer.status == status
    assert answer.read() == (b"" if status == 200 else b"Content-Length is missing or too much\n")
    assert answer.headers["Connection"] == (None if status == 200 else "close")
    connection.close()


def test_the_command_refuses_a_key_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("garbage", encoding="utf-8")
    command = [sys.executable, "-m", "cwl_airflow.commands.receiver", "--port", "0", "--public-key", str(file)]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)
    assert ended.returncode == 2
    assert f"{file} with RS256: " in ended.stderr


def test_a_receiver_that_is_not_there_is_down() -> None:
    with (
        requests.Session() as session,
        pytest.raises(
            sending.ReceiverUnreachable,
            match=r"^http://127.0.0.1:9/ cannot be reached: \[Errno \d+\] Connection refused$",
        ),
    ):
        sending.ReportReceiver("http://127.0.0.1:9/").post(session, report(1))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(), ""),
        (OSError("a: b: c"), "c"),
        (OSError(ValueError("a: no")), "no"),
        (URLError(OSError(KeyError("d"))), "'d'"),
    ],
)
def test_an_error_says_what_the_innermost_one_says(error: Exception, said: str) -> None:
    assert sending.innermost_message(error) == said


def test_a_receiver_that_does_not_answer_has_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TIMEOUT", (5, 0.1))
    with socket.create_server(("127.0.0.1", 0)) as silent, requests.Session() as session:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(sending.ReportRefused, match=r"progress: .*timed out"):
            sending.ReportReceiver(url).post(session, report(1))


def test_a_receiver_that_says_no_has_refused(keys: dict[str, tuple[str, str]], start: Callable[..., str]) -> None:
    with requests.Session() as session, pytest.raises(sending.ReportRefused, match="answered 403: 'the payload is not"):
        sending.ReportReceiver(start(keys["RS256"][1])).post(session, report(1))


@pytest.mark.parametrize(
    ("status", "taken"), [(200, True), (204, True), (299, True), (300, False), (302, False), (500, False)]
)
def test_what_is_posted_and_which_answers_count(status: int, taken: bool) -> None:
    """A redirect is not followed, behind which all is well."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            names = ("Authorization", "Content-Type", "Idempotency-Key")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, [self.headers[name] for name in names], json.loads(body)))
            content = b"" if taken else b"x" * 300
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    no = pytest.raises(sending.ReportRefused, match=rf"/v1/progress answered {status}: '{'x' * 200}'$")
    with HTTPServer(("127.0.0.1", 0), Handler) as server, requests.Session() as session:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        receiver = sending.ReportReceiver(f"http://127.0.0.1:{server.server_port}/v1/", ("me", "secret"))
        with nullcontext() if taken else no:
            receiver.post(session, report(1))
        server.shutdown()
    expected = ["Basic bWU6c2VjcmV0", "application/json", "key-1"]
    assert seen == [("/v1/progress", expected, {"payload": PAYLOAD})]


class Box:
    """An outbox in memory, with a clock that the test moves."""

    def __init__(self, *reports: Report) -> None:
        """Hold some reports."""
        self.reports = {each.id: each for each in reports}
        self.time = 0.0
        self.sent: list[int] = []
        self.down = False
        self.refuses: set[int] = set()
        self.away = False

    def find_pending(self, without_runs: Collection[int]) -> list[Report]:
        """Return what is left."""
        return [each for each in self.reports.values() if each.dag_run_id not in without_runs]

    def mark_delivered(self, ids: Collection[int]) -> None:
        """Remove what was delivered."""
        if self.away:
            raise OSError("the database is away")
        for number in ids:
            del self.reports[number]

    def send(self, report: Report) -> None:
        """Be the receiver."""
        if self.down:
            raise sending.ReceiverUnreachable("down")
        if report.id in self.refuses:
            raise sending.ReportRefused("no")
        self.sent.append(report.id)


def test_reports_are_delivered_in_order_and_once() -> None:
    box = Box(report(1), report(2, run=2), report(3))
    work = ReportDelivery(box, lambda: box.time)
    assert work.deliver_due(box.send) == 3
    assert work.deliver_due(box.send) == 0
    assert box.sent == [1, 2, 3]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings that were logged."""
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_report_that_is_refused_holds_up_its_own_run_only(caplog: pytest.LogCaptureFixture) -> None:
    box = Box(report(1), report(2, run=2), report(3), report(4, run=2))
    work = ReportDelivery(box, lambda: box.time)
    box.refuses = {1}
    tries = []

    def send(each: Report) -> None:
        if each.id == 1:
            tries.append(box.time)
        box.send(each)

    for second in range(1500):
        box.time = float(second)
        work.deliver_due(send)
    assert box.sent == [2, 4]
    assert [later - earlier for earlier, later in pairwise(tries)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    said = "Report key-1 was not taken ({} times): no. It is kept."
    assert warnings(caplog) == [said.format(count) for count in (1, 2, 4, 8)]
    box.refuses = set()
    box.time += delivery.LONGEST_WAIT
    work.deliver_due(box.send)
    assert box.sent == [2, 4, 1, 3]


def test_a_receiver_that_is_down_is_left_alone_for_longer_and_longer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    box = Box(report(1), report(2, run=2))
    box.down = True
    work = ReportDelivery(box, lambda: box.time)
    tries = []

    def send(each: Report) -> None:
        tries.append(box.time)
        box.send(each)

    for second in range(400):
        box.time = float(second)
        assert work.deliver_due(send) == 0
    assert tries[:8] == [0, 1, 3, 7, 15, 31, 63, 123]
    assert warnings(caplog) == ["down. Reports are kept until it can."]
    box.down = False
    box.time += delivery.LONGEST_PAUSE
    assert work.deliver_due(box.send) == 2
    assert box.sent == [1, 2]
    assert caplog.messages[1:] == ["The receiver is there again"]
    box.down = True
    box.reports[3] = report(3)
    work.deliver_due(send)
    assert len(warnings(caplog)) == 2


def test_a_report_that_is_refused_keeps_no_other_run_waiting_for_the_next_look() -> None:
    box = Box(report(1), report(2, run=2), report(3), report(4, run=2))
    box.refuses = {1}
    assert ReportDelivery(box, lambda: box.time).deliver_due(box.send) == 2
    assert box.sent == [2, 4]


def test_a_run_whose_report_was_taken_in_the_end_does_not_wait_as_long_for_its_next_one() -> None:
    box = Box(report(1), report(2))
    work = ReportDelivery(box, lambda: box.time)
    box.refuses = {1, 2}
    for box.time in (0.0, 1.0, 3.0):
        work.deliver_due(box.send)
    box.time = 7.0
    box.refuses = {2}
    assert work.deliver_due(box.send) == 1
    box.time, box.refuses = 8.0, set()
    assert work.deliver_due(box.send) == 1


def test_what_was_sent_before_the_receiver_went_away_counts() -> None:
    box = Box(report(1), report(2))

    def send(each: Report) -> None:
        box.send(each)
        box.down = True

    assert ReportDelivery(box, lambda: box.time).deliver_due(send) == 1


def test_what_was_delivered_while_the_database_was_away_is_not_sent_again() -> None:
    box = Box(report(1), report(2))
    work = ReportDelivery(box, lambda: box.time)
    box.away = True
    for _ in range(3):
        with pytest.raises(OSError, match="away"):
            work.deliver_due(box.send)
    assert box.sent == [1]
    box.away = False
    work.deliver_due(box.send)
    assert box.sent == [1, 2]
    assert box.reports == {}


def test_it_stops_between_two_reports() -> None:
    box = Box(report(1), report(2))
    assert ReportDelivery(box, lambda: box.time).deliver_due(box.send, lambda: bool(box.sent)) == 1
    assert box.sent == [1]
