"""Take no task for lost whose heartbeats cannot arrive.

A scheduler takes a task for lost whose last heartbeat is too old (``[scheduler] task_instance_heartbeat_timeout``).
Heartbeats go through the API server into the database: while one of them is away, or the clock is set, all are too
old, and the tasks go on. Then they get the whole time again.
"""

from __future__ import annotations

import logging
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone
from http.client import HTTPException

from airflow.models import TaskInstance
from airflow.settings import get_engine
from airflow.utils.state import TaskInstanceState
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

log = logging.getLogger(__name__)

#: Seconds between two questions to the API server, and for how long it may take to answer.
PAUSE, TIMEOUT = 5.0, 5.0
#: Seconds between two looks of a scheduler, or by which the clock is set, that are as if it had been away.
LONG = 15.0
#: Seconds between two times that the heartbeats are renewed while something is away.
RENEWED = 5.0


def renew_heartbeats() -> None:
    """Let the last heartbeat of each running task be now.

    :raises sqlalchemy.exc.DBAPIError: the database does not do it.
    """
    states = (TaskInstanceState.RUNNING, TaskInstanceState.RESTARTING)
    # Not what the table says for any other change: when it was updated is what others go by.
    values = {"last_heartbeat_at": datetime.now(timezone.utc), "updated_at": TaskInstance.updated_at}
    with get_engine().begin() as connection:  # type: ignore[no-untyped-call]  # Airflow's
        connection.execute(update(TaskInstance).where(TaskInstance.state.in_(states)).values(values))


class Outages:
    """Knows whether heartbeats could not arrive since it was last asked."""

    def __init__(self, server: str) -> None:
        """Take the address of the API server.

        :param server: URL of the API that tasks use.
        """
        self._url = f"{server.rstrip('/')}/health"
        self._away = threading.Event()
        self._looked = self._clock()
        self._renewed = float("-inf")

    def watch(self) -> None:
        """Ask the API server from now on, in a thread of its own, as it may take its time."""
        threading.Thread(target=self._watch, name="outages", daemon=True).start()

    def _watch(self) -> None:
        while True:
            if not self.is_server_there():
                if not self._away.is_set():
                    log.warning("The API server does not answer at %s: tasks are not taken for lost", self._url)
                self._away.set()
            time.sleep(PAUSE)

    def is_server_there(self) -> bool:
        """Tell whether the API server answers."""
        try:
            with urllib.request.urlopen(self._url, timeout=TIMEOUT):  # nosec B310  # the site's own API server
                return True
        except urllib.error.HTTPError as error:
            return error.code < 500
        except (OSError, ValueError, HTTPException):
            return False

    def look(self) -> None:
        """Renew the heartbeats of all running tasks if they could not arrive meanwhile; called again and again."""
        before, self._looked = self._looked, self._clock()
        # Both: one goes on while the machine sleeps, the other one is not set.
        if any(not 0 <= now - then <= LONG for now, then in zip(self._looked, before, strict=True)):
            self._away.set()
        if self._away.is_set() and time.monotonic() - self._renewed >= RENEWED:
            self._renewed = time.monotonic()
            try:
                renew_heartbeats()
            except OperationalError as error:  # others change these rows as well: next time
                log.warning("The heartbeats could not be renewed: %s", error.orig)
            else:
                self._away.clear()

    @staticmethod
    def _clock() -> tuple[float, float]:
        return time.time(), time.monotonic()
