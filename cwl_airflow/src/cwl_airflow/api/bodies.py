"""The bodies of requests: each is here as a whole before anybody works on it, and all together have a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from io import SEEK_END
from tempfile import SpooledTemporaryFile
from typing import Any

from .limits import LARGEST_UPLOAD, LARGEST_WAITING
from .problems import Answer, Problem

#: Bytes of a body that stay in memory, and of a piece of it that is worked on at a time.
IN_MEMORY, PIECE = 512 * 2**10, 64 * 2**10
#: Under which name a request has its body.
KEY = "cwl_airflow_body"

Receive = Callable[[], Awaitable[Any]]


class ClientGone(Exception):
    """The client went away."""


class BodyMiddleware:
    """An application of ASGI, which another one is in that gets whole requests only."""

    def __init__(self, app: Any, largest: int = LARGEST_UPLOAD, together: int = LARGEST_WAITING) -> None:
        """Note the limits.

        :param largest: bytes of a body.
        :param together: bytes of all bodies that are on their way or worked on.
        """
        self._app, self._largest, self._together = app, largest, together
        #: Bytes of the bodies that are here.
        self.waiting = 0

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with SpooledTemporaryFile(IN_MEMORY) as body:
            size = 0
            try:
                self._check(_announced_size(scope))
                async for piece in _pieces(receive):
                    size += len(piece)
                    self.waiting += len(piece)
                    self._check(size)
                    body.write(piece)
                await self._app({**scope, KEY: body}, _replay_body(body, receive), send)
            except Problem as refusal:
                body.truncate(0)  # makes room at once
                self.waiting, size = self.waiting - size, 0
                refused = Answer(refusal.status_code, refusal.detail)
                refused.headers["Connection"] = "close"  # the rest of the body is not read
                await refused(scope, receive, send)
            except ClientGone:
                pass
            finally:
                self.waiting -= size

    def _check(self, size: int) -> None:
        if size > self._largest:
            raise Problem(413, f"The body has more than {self._largest // 2**20} MiB")
        if size and self.waiting > self._together:
            raise Problem(503, "Other clients are sending too much: ask again later")


def whole_body(scope: Any) -> bytes:
    """Return the body of a request that `BodyMiddleware` let pass."""
    body = scope[KEY]
    body.seek(0)
    found: bytes = body.read()
    return found


def body_tail(scope: Any) -> bytes:
    """Return the last 4 KiB of the body of a request that `BodyMiddleware` let pass."""
    scope[KEY].seek(max(body_size(scope) - 4096, 0))
    found: bytes = scope[KEY].read()
    return found


def body_size(scope: Any) -> int:
    """Return the bytes of the body of a request that `BodyMiddleware` let pass."""
    scope[KEY].seek(0, SEEK_END)
    size: int = scope[KEY].tell()
    return size


def _announced_size(scope: Any) -> int:
    """Return what a request says of the length of its body: 0 if nothing."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _pieces(receive: Receive) -> Any:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        more = message.get("more_body", False)
        yield message.get("body", b"")


def _replay_body(body: Any, receive: Receive) -> Receive:
    """Return what gives the application the body, a piece at a time."""
    body.seek(0)
    position, ended = 0, False

    async def next_piece() -> Any:
        nonlocal position, ended
        if ended:
            return await receive()
        await asyncio.sleep(0)  # whatever is made of it, other clients have their turn
        body.seek(position)
        piece = body.read(PIECE)
        position += len(piece)
        ended = len(piece) < PIECE
        return {"type": "http.request", "body": piece, "more_body": not ended}

    return next_piece
