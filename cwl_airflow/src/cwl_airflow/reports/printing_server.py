"""A server that takes reports and prints them, to try the reports of a site. It is not made to face a network."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt

#: A report is not longer than this, in bytes.
LONGEST_REPORT = 64 * 2**20

_printing = threading.Lock()


class PrintingServer(ThreadingHTTPServer):
    """Takes reports, and prints each in a line of JSON."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], key: str | None, algorithm: str) -> None:
        """Listen on an address.

        :param key: the public key, or the shared secret of an HS algorithm; none to take what is not signed.
        :param algorithm: the only one that is taken.
        """
        super().__init__(address, ReportHandler)
        self.key = key
        self.algorithm = algorithm

    def verify_payload(self, body: bytes) -> Any:
        """Return what a report says.

        :raises PermissionError: it is not signed as it has to be.
        :raises ValueError: it is no report.
        """
        content = json.loads(body)
        if not isinstance(content, dict) or "payload" not in content:
            raise ValueError("there is no payload")
        payload = content["payload"]
        if self.key is None:
            return payload
        if not isinstance(payload, str):
            raise PermissionError("the payload is not signed")
        try:
            return jwt.decode(payload, self.key, algorithms=[self.algorithm])
        except jwt.PyJWTError as error:
            raise PermissionError(f"the payload's signature is not right: {error}") from error


class ReportHandler(BaseHTTPRequestHandler):
    """Answers one request after the other of a connection."""

    protocol_version = "HTTP/1.1"
    server: PrintingServer
    timeout = 60

    def do_POST(self) -> None:
        """Take a report: 200; 403 if it is not signed as it has to be, 400 if it is none."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LONGEST_REPORT:
            self.close_connection = True
            return self._answer(411 if not length.isdecimal() else 413, "Content-Length is missing or too much")
        body = self.rfile.read(int(length))
        try:
            payload = self.server.verify_payload(body)
        except PermissionError as error:
            return self._answer(403, str(error))
        except ValueError as error:
            return self._answer(400, str(error))
        line = json.dumps(
            {"route": self.path.rpartition("/")[2], "path": self.path, "key": self.headers.get("Idempotency-Key"),
             "payload": payload}
        )  # fmt: skip
        with _printing:
            print(line, flush=True)
        return self._answer(200, "")

    def _answer(self, status: int, text: str) -> None:
        if status != 200:
            print(f"{self.path}: {status}: {text}", file=sys.stderr, flush=True)
        content = f"{text}\n".encode() if text else b""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: each report has its line."""
