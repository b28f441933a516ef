"""Evaluate the JavaScript of documents in processes of Node.js that a service starts, one for each connection.

Node's ``vm`` keeps nothing in that wants out. Where a process of Node.js is one of the task's own, what leaves ``vm``
has the task's rights; where a service starts it, those of the service's unit, which are none.

A request is a line with a JSON object: ``code``, and in the first one of a connection ``console`` and ``context``. The
answer is a line with two texts: the value as JSON, and what was written to the console or went wrong. The service says
``"ready"`` first. ``server.js`` is the other side.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from cwl_utils.errors import JavascriptException
from cwl_utils.sandboxjs import NodeJSEngine, default_timeout, get_js_engine, set_js_engine

#: For how long a connection is used again, in seconds; server.js ends one that is idle for as long.
LIFETIME = 60
#: How long a process may take to start, in seconds: the service may have as many as it may.
START = 60
#: How long an answer may be, in bytes.
LONGEST = 64 * 2**20

_Kind = tuple[bool, str | None]


def use_javascript_service(address: str | None) -> None:
    """Evaluate JavaScript through a service from now on, in this process and those that are forked from it.

    :param address: path of the service's socket, named like its unit; none leaves cwltool what it has.
    """
    if address and getattr(get_js_engine(), "address", None) != Path(address):
        set_js_engine(Engine(Path(address)))


class _Ended(Exception):
    """The service closed the connection."""


class _Connection:
    """A process of Node.js at the other end of a socket."""

    def __init__(self, address: Path, deadline: float) -> None:
        """Have a process started, which may take until a deadline.

        :raises OSError: there is nobody at this address.
        :raises _Ended: no process was started.
        :raises TimeoutError: nor was one refused.
        """
        self.born = time.monotonic()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._limit(deadline)
            self._socket.connect(str(address))
            if self._line(deadline) != "ready":
                raise _Ended
        except BaseException:
            self._socket.close()
            raise

    def ask(self, request: dict[str, Any], deadline: float) -> tuple[str, str]:
        """Send a request, and return the answer.

        :raises _Ended: the process ended.
        :raises TimeoutError: there is no answer yet.
        """
        self._limit(deadline)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # there may be an answer all the same
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        value, said = self._line(deadline)
        return str(value), str(said)

    def _line(self, deadline: float) -> Any:
        received = bytearray()
        while not received.endswith(b"\n"):
            self._limit(deadline)
            try:
                some = self._socket.recv(2**16)
            except ConnectionResetError as error:
                raise _Ended from error
            if not some:
                raise _Ended
            received += some
            if len(received) > LONGEST:
                raise JavascriptException(f"JavaScript gave more than {LONGEST >> 20} MiB.")
        return json.loads(received)

    def _limit(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)

    def end(self) -> None:
        """End the process, also where a forked one has the connection, too."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def forget(self) -> None:
        """Leave the connection to the process that this one was forked from."""
        self._socket.close()


class Engine(NodeJSEngine):
    """Gives JavaScript to a service. Starts no Node.js itself, whatever becomes of the service."""

    def __init__(self, address: Path) -> None:
        """Say where the service is.

        :param address: path of its socket.
        """
        super().__init__()
        self.address = address
        self._idle: dict[_Kind, list[_Connection]] = {}
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        """Leave the connections to the process that this one was forked from, which may have held the lock."""
        for connection in (connection for idle in self._idle.values() for connection in idle):
            connection.forget()
        self._idle = {}
        self._lock = threading.Lock()

    def exec_js_process(
        self,
        js_text: str,
        timeout: float = default_timeout,
        js_console: bool = False,
        context: str | None = None,
        force_docker_pull: bool = False,
        container_engine: str = "docker",
    ) -> tuple[int, str, str]:
        """Evaluate a text (called by cwltool).

        :param timeout: for how long at most, in seconds.
        :param js_console: whether it may write to a console.
        :param context: a text that is evaluated first and gives the object that is global then.
        :returns: 0, or -1 if it took too long; the value as JSON; what was written to the console, or went wrong.
        :raises JavascriptException: there is no service, or its process ended.
        """
        kind = (js_console, context)
        request = {"code": js_text, "console": js_console}
        if connection := self._take(kind):
            # Whatever ended it may be over: an earlier expression, or its time.
            with contextlib.suppress(_Ended):
                return self._ask(kind, connection, request, timeout)
        try:
            return self._ask(kind, self._start(), {**request, "context": context}, timeout)
        except _Ended as error:
            raise JavascriptException(
                "The JavaScript ended its Node.js, by itself or because it took more memory or time than it may: see "
                f"journalctl --unit='{self.address.stem}@*'."
            ) from error

    def _ask(
        self, kind: _Kind, connection: _Connection, request: dict[str, Any], timeout: float
    ) -> tuple[int, str, str]:
        try:
            value, said = connection.ask(request, time.monotonic() + timeout)
        except TimeoutError:
            connection.end()
            return -1, "", ""
        except BaseException:
            connection.end()
            raise
        with self._lock:
            self._idle.setdefault(kind, []).append(connection)
        return 0, value, said

    def new_js_proc(self, *_: Any, **__: Any) -> Any:
        """Start nothing: there is no Node.js in this process's reach that may evaluate JavaScript.

        :raises JavascriptException: always.
        """
        raise JavascriptException(f"JavaScript is evaluated by {self.address.name} only.")

    def _take(self, kind: _Kind) -> _Connection | None:
        """Return a connection that is idle and young, and end those that are old."""
        while True:
            with self._lock:
                idle = self._idle.get(kind)
                if not idle:
                    return None
                connection = idle.pop()
            if time.monotonic() - connection.born < LIFETIME:
                return connection
            connection.end()

    def _start(self) -> _Connection:
        """Have a process started; if there are as many as there may be, wait for one to end."""
        deadline = time.monotonic() + START
        for pause in itertools.chain((0.1, 0.2, 0.5), itertools.repeat(1.0)):
            try:
                return _Connection(self.address, deadline)
            except (_Ended, BlockingIOError):
                time.sleep(pause)
            except TimeoutError:
                reason = f"no Node.js started in {START} s"
                break
            except OSError as error:
                reason = error.strerror or str(error)
                break
        raise JavascriptException(
            f"JavaScript cannot be evaluated: {reason} at {self.address}: see systemctl status {self.address.name}."
        )
