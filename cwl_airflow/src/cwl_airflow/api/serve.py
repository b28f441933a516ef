"""The server of the CWL API. Slow clients hold up nobody: no thread is bound before a request is there as a whole.

Sources: https://www.uvicorn.org/settings/, https://h11.readthedocs.io/en/latest/api.html
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import time
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .problems import Answer

log = logging.getLogger(f"{__name__}.access")

#: Clients that are connected at a time.
CONNECTIONS = 1000
#: For how long a client may take to send a request, to read on in an answer, or to think of the next one, in seconds.
DEADLINE = 120
#: For how long a request may go on when the service stops, in seconds.
GRACE = 30
#: Bytes of the head of a request.
LARGEST_HEAD = 32 * 2**10
#: What is too long for h11 to be the length of a body, and is a number all the same.
LENGTH = re.compile(rb"\ncontent-length:[ \t]*[0-9]{20,}[ \t]*\r?\n", re.IGNORECASE)


class Reader(h11.Connection):
    """What reads requests. It remembers what was wrong with one."""

    error: h11.RemoteProtocolError | None = None
    _last = b""

    def receive_data(self, data: bytes) -> None:
        """Take what came."""
        self._last = data[:LARGEST_HEAD]
        super().receive_data(data)

    def next_event(self) -> Any:
        """Return what came next."""
        try:
            event = super().next_event()
            if isinstance(event, h11.Request) and _size(event) > LARGEST_HEAD:  # h11 minds parts of a head only
                raise h11.RemoteProtocolError("The head is too large", error_status_hint=431)
        except h11.RemoteProtocolError as error:
            self.error = error
            if LENGTH.search(self._last):
                self.error = h11.RemoteProtocolError("The body is too large", error_status_hint=413)
            raise
        return event


def _size(head: Any) -> int:
    return len(head.target) + sum(len(name) + len(value) + 4 for name, value in head.headers)


class Connection(H11Protocol):
    """A client. It has a time to send each request, which a byte now and then does not lengthen."""

    conn: Reader
    transport: Any
    cycle: Any

    def __init__(self, *arguments: Any, **more: Any) -> None:
        """Begin to wait for a request."""
        super().__init__(*arguments, **more)
        # uvicorn's own has queries, and whether it writes one hangs on how loggers are set up.
        self.access_log = False
        self.conn = Reader(h11.SERVER, LARGEST_HEAD)
        self._since = time.monotonic()
        self._asks, self._unsent = False, 0

    def connection_made(self, transport: Any) -> None:
        """Take a client, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self._refuse(503, "Too many clients are connected: try again later.")

    def data_received(self, data: bytes) -> None:
        """Take what the client sends."""
        if not self._asks:
            self._asks, self._since = True, time.monotonic()
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._asks, self._since = False, time.monotonic()
        super().on_response_complete()

    def check(self, now: float) -> None:
        """End the connection if the client takes too long."""
        unsent = self.transport.get_write_buffer_size()
        works = self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete
        if unsent != self._unsent or (works and not unsent):
            self._unsent, self._since = unsent, now
        if now - self._since > DEADLINE:
            self.transport.abort()

    def shutdown(self) -> None:
        """End the connection, or have it ended after the request that is worked on."""
        if self.cycle is not None and self.cycle.more_body:
            self.transport.abort()  # it may take its time until the request is here
        else:
            super().shutdown()

    def send_400_response(self, _message: str) -> None:
        """Answer what is no request."""
        error = self.conn.error
        self._refuse(error.error_status_hint if error else 400, f"The request cannot be read: {error}.")

    def _refuse(self, status: int, detail: str) -> None:
        answer = Answer(status, detail)
        answer.headers["Connection"] = "close"
        try:
            head = h11.Response(status_code=status, headers=answer.raw_headers, reason=HTTPStatus(status).phrase)
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        except h11.LocalProtocolError:  # it is being answered already
            pass
        self.transport.close()
        _note(self.client, "-", "", status, 0)


class Noted:
    """An application of ASGI, each of whose answers is noted in the log."""

    def __init__(self, app: Any) -> None:
        """Note what it is."""
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Have a request answered."""
        began = time.monotonic()

        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                spent = 1000 * (time.monotonic() - began)
                _note(scope["client"], scope["method"], scope["path"], message["status"], spent)
            await send(message)

        await self._app(scope, receive, noted)


class Server(uvicorn.Server):
    """The server."""

    server_state: Any

    def __init__(self, application: Any, host: str, port: int) -> None:
        """Say where to listen.

        :param application: of ASGI.
        :param host: an address or its name.
        :param port: of TCP; 0 for any that is free.
        """
        super().__init__(
            uvicorn.Config(
                Noted(application),
                host=host,
                port=port,
                http=Connection,
                ws="none",
                loop="asyncio",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=DEADLINE,
                timeout_graceful_shutdown=GRACE,
            )
        )

    async def on_tick(self, counter: int) -> bool:
        """Look after the clients, once in a second."""
        if counter % 10 == 0:
            for connection in list(self.server_state.connections):
                connection.check(time.monotonic())
        ends: bool = await super().on_tick(counter)
        return ends


def _note(client: Any, method: str, path: str, status: int, spent: float) -> None:
    # Without the query, which may hold a job.
    log.info('%s "%s %s" %s %d ms', client[0] if client else "-", method, quote(path), status, spent)


def address(text: str) -> tuple[str, int]:
    """Return host and port of a text like ``127.0.0.1:8081`` or ``[::1]:8081``.

    :raises ArgumentTypeError: it is not like that.
    """
    found = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^\[\]:]+)):([0-9]{1,5})", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 127.0.0.1:8081 or [::1]:8081")
    return found[1] or found[2], int(found[3])


def local_url(host: str, port: int) -> str:
    """Return the URL at which a server is reached from its own host."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # nosec B104  # not to listen on
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def main(argv: list[str] | None = None) -> int:
    """Serve until the service is stopped."""
    parser = argparse.ArgumentParser(description="Serve the CWL API.")
    parser.add_argument("--bind", required=True, type=address, metavar="ADDRESS:PORT", help="where to listen")
    serve(*parser.parse_args(argv).bind)
    return 0


def serve(host: str, port: int) -> None:
    """Serve until the service is stopped.

    :param host: address to listen on, or its name.
    :param port: of TCP; 0 for any that is free.
    """
    from .app import create_app

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.INFO)
    Server(create_app(local_url(host, port)), host, port).run()


if __name__ == "__main__":
    sys.exit(main())
