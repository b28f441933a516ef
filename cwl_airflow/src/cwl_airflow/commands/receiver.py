"""Take reports and print them, one line of JSON each: a receiver for trying the reports of a site.

With a public key it takes only what was signed with the private one. It is not made to face a network.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt

#: A report is not longer than this, in bytes.
LONGEST = 64 * 2**20

_printing = threading.Lock()


class Receiver(ThreadingHTTPServer):
    """Takes reports."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], key: str | None, algorithm: str) -> None:
        """Listen.

        :param key: the public key, or the shared secret of an HS algorithm; none to take what is not signed.
        :param algorithm: the only one that is taken.
        """
        super().__init__(address, Handler)
        self.key = key
        self.algorithm = algorithm

    def payload(self, body: bytes) -> Any:
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


class Handler(BaseHTTPRequestHandler):
    """Answers one request after the other of a connection."""

    protocol_version = "HTTP/1.1"
    server: Receiver
    timeout = 60

    def do_POST(self) -> None:
        """Take a report: 200; 403 if it is not signed as it has to be, 400 if it is none."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LONGEST:
            self.close_connection = True
            return self._answer(411 if not length.isdecimal() else 413, "Content-Length is missing or too much")
        body = self.rfile.read(int(length))
        try:
            payload = self.server.payload(body)
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


def main(argv: list[str] | None = None) -> int:
    """Take reports until told to stop; exit code 2 if the key cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="TCP port, 0 for any (default: %(default)s)")
    parser.add_argument("--public-key", type=Path, metavar="FILE", help="take only what this key verifies (PEM)")
    parser.add_argument("--algorithm", default="RS256", help="the algorithm of the signatures (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        key = options.public_key.read_text(encoding="utf-8") if options.public_key else None
        if key is not None:
            jwt.get_algorithm_by_name(options.algorithm).prepare_key(key)
    except Exception as error:  # PyJWT and cryptography have many
        parser.error(f"{options.public_key} with {options.algorithm}: {error}")
    with Receiver((options.host, options.port), key, options.algorithm) as server:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        print(f"http://{options.host}:{server.server_port}/ takes reports", file=sys.stderr, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
