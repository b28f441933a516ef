"""Tell systemd that a service is alive, which restarts one that has not said so for too long.

Source: WATCHDOG=1 and WATCHDOG_USEC=… in sd_notify(3).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from typing import Any

#: Seconds between two times that a service says so which has no rhythm of its own.
PAUSE = 10
#: At its start a service may take so many times as long as later.
AT_START = 10
#: It is up when it has said so as often: what it loads with the first requests takes long on a busy machine, too.
UNTIL_UP = 4

_told = 0


def tell_alive(*_: Any) -> None:
    """Say that this service is alive; nothing happens where no watchdog asks."""
    global _told
    address, microseconds = os.environ.get("NOTIFY_SOCKET"), os.environ.get("WATCHDOG_USEC")
    if not address or not microseconds:
        return
    message = "WATCHDOG=1"
    if _told + 1 == UNTIL_UP:
        message += f"\nWATCHDOG_USEC={int(microseconds) // AT_START}"
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stream:
        stream.setblocking(False)  # if nobody reads, the service goes on
        stream.sendto(message.encode(), address)
        _told += 1


def keep_telling() -> None:
    """Say so from now on, in a thread: as long as this process runs at all."""

    def tell() -> None:
        while True:
            tell_alive()
            time.sleep(PAUSE)

    threading.Thread(target=tell, name="watchdog", daemon=True).start()


class WatchdogMiddleware:
    """Says so as long as the event loop of a server turns (ASGI)."""

    def __init__(self, app: Any) -> None:
        """Stand before an application."""
        self._app = app
        self._telling: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Begin with the server, and pass on what comes."""
        if scope["type"] == "lifespan" and self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(_keep_telling())
        await self._app(scope, receive, send)


async def _keep_telling() -> None:
    while True:
        tell_alive()
        await asyncio.sleep(PAUSE)
