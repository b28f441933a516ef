"""The server of the CWL API: it binds no thread before a request is there as a whole, so slow clients hold up nobody.

Source: https://docs.pylonsproject.org/projects/waitress/en/stable/arguments.html
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import signal
import sys
import time
from typing import Any
from urllib.parse import quote

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import Error

from .limits import LARGEST_UPLOAD
from .problems import PROBLEM, described

log = logging.getLogger(f"{__name__}.access")

#: Requests that are worked on at a time; others wait for one of these.
THREADS = 8
#: Clients that are connected at a time; others wait until one is gone.
CONNECTIONS = 1000
#: For how long a client may take to send a request, to read on in an answer, or to think of the next one, in seconds.
DEADLINE = 120
#: For how long a request may go on when the service stops, in seconds.
GRACE = 30
#: Bytes of the bodies of all clients together, on their way or waiting, and of the head of a request.
LARGEST_WAITING = 4 * LARGEST_UPLOAD
LARGEST_HEAD = 32 * 2**10


class Busy(Error):  # type: ignore[misc]  # waitress is not typed
    """There is no room for a request."""

    code = 503
    reason = "Service Unavailable"


class Request(HTTPRequestParser):  # type: ignore[misc]
    """A request on its way."""

    completed: bool
    body_rcv: Any
    error: Error | None

    def __init__(self, server: Server, adj: Any) -> None:
        """Note who takes it."""
        super().__init__(adj)
        self._server = server

    def received(self, data: bytes) -> int:
        """Take what came of it, unless that is too much."""
        taken: int = super().received(data)
        if self.body_rcv is not None and not self.completed and self._server.waiting() > LARGEST_WAITING:
            self.error = Busy("other clients are sending too much, ask again later")
            self.completed = True
            self.body_rcv = None  # makes room at once
        return taken


class Answer(WSGITask):  # type: ignore[misc]
    """What the application answers."""

    def finish(self) -> None:
        """Note it."""
        super().finish()
        _note(self)


class Refusal(ErrorTask):  # type: ignore[misc]
    """What is answered in place of the application: as it does."""

    def execute(self) -> None:
        """Answer."""
        error = self.request.error
        body = json.dumps(described(error.code, f"{error.reason}: {error.body}.")).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", PROBLEM))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)

    def finish(self) -> None:
        """Note it."""
        super().finish()
        _note(self)


class Channel(HTTPChannel):  # type: ignore[misc]
    """A client."""

    last_activity: float
    task_class = Answer
    error_task_class = Refusal

    def __init__(self, server: Server, *arguments: Any, **more: Any) -> None:
        """Note who serves it."""
        super().__init__(server, *arguments, **more)
        self.parser_class = functools.partial(Request, server)

    def handle_read(self) -> None:
        """Take what the client sends. A request that is under way does not get more time with each byte."""
        request, since = self.request, self.last_activity
        super().handle_read()
        if request is not None and self.request is request:
            self.last_activity = since


class Server(TcpWSGIServer):  # type: ignore[misc]
    """The server."""

    channel_class = Channel

    def __init__(self, application: Any, bind: str) -> None:
        """Listen.

        :param application: of WSGI.
        :param bind: address and port, ``127.0.0.1:8081`` or ``[::1]:8081``.
        """
        super().__init__(
            application,
            listen=bind,
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=DEADLINE,
            cleanup_interval=5,
            max_request_header_size=LARGEST_HEAD,
            max_request_body_size=LARGEST_UPLOAD + 1,  # the first that is too large
            recv_bytes=64 * 2**10,
            asyncore_use_poll=True,  # select() ends at 1024 files
            ident=None,
        )

    def waiting(self) -> int:
        """Return how many bytes of bodies are here."""
        requests = [r for channel in self.active_channels.values() for r in (channel.request, *channel.requests)]
        return sum(len(r.body_rcv) for r in requests if r is not None and r.body_rcv is not None)

    def run(self) -> None:
        """Serve until the process is told to end, and let the requests end then that are worked on."""
        try:
            self.asyncore.loop(timeout=self.adj.asyncore_loop_timeout, map=self._map, use_poll=True)
        except (SystemExit, KeyboardInterrupt):
            self.task_dispatcher.shutdown(timeout=GRACE)


def _note(task: Any) -> None:
    # Without the query, which may hold a job.
    path = quote(getattr(task.request, "path", "").encode("latin-1"))
    method = getattr(task.request, "command", "-")
    spent = 1000 * (time.time() - task.start_time)
    log.info('%s "%s %s" %s %d ms', task.channel.addr[0], method, path, task.status[:3], spent)


def main(argv: list[str] | None = None) -> int:
    """Serve until the service is stopped."""
    parser = argparse.ArgumentParser(description="Serve the CWL API.")
    parser.add_argument("--bind", required=True, metavar="ADDRESS:PORT", help="where to listen")
    options = parser.parse_args(argv)
    from .server import create_app

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.INFO)
    server = Server(create_app(), options.bind)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
