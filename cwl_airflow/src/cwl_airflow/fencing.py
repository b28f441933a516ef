"""End a worker that is cut off from its site, before a scheduler gives its tasks to another host.

A scheduler takes a task for lost whose heartbeats do not arrive (``[scheduler] task_instance_heartbeat_timeout``), and
cannot end it on a host that it does not reach: the step would run twice at a time. So the host does it itself.

A scheduler that does not reach the API server takes none for lost (`heartbeats`), and none can without the database. So
a worker that reaches either of the two is not cut off: that one is away for it alone says nothing.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pymysql
from airflow.configuration import conf
from sqlalchemy.engine import URL, make_url

from .containers import ContainerEngine, ContainerEngineError
from .heartbeats import Outages
from .runs.layout import is_intermediate

log = logging.getLogger(__name__)

#: Seconds between two looks, and for how long the database may take to answer.
PAUSE, TIMEOUT = 5.0, 5
#: The part of the time after which a task is lost that a host may be cut off: its steps need some to end.
PART = 0.7
#: For how long the container engine may take to end containers, in seconds.
ENGINE_TIMEOUT = 15
#: What MySQL's client says if it could not connect.
NO_CONNECTION = 2003


class Fence:
    """Knows since when this host has been cut off, and ends its worker."""

    def __init__(self, server: str, database: URL, seconds: float, engine: ContainerEngine, tmp: Path) -> None:
        """Take whom to look for.

        :param server: URL of the API that tasks use.
        :param database: URL of Airflow's database.
        :param seconds: for how long this host may be cut off.
        :param engine: has the containers of steps.
        :param tmp: where the intermediate data of all runs is.
        """
        self._outages = Outages(server)
        self._database = database
        self._seconds = seconds
        self._engine = ContainerEngine(engine.command, ENGINE_TIMEOUT)
        self._tmp = tmp

    @classmethod
    def of_site(cls, engine: ContainerEngine, tmp: Path) -> Fence:
        """Return that of the site of this host.

        :param engine: has the containers of steps.
        :param tmp: where the intermediate data of all runs is.
        """
        database = make_url(conf.get_mandatory_value("celery", "result_backend").removeprefix("db+"))
        seconds = PART * conf.getint("scheduler", "task_instance_heartbeat_timeout")
        return cls(conf.get_mandatory_value("core", "execution_api_server_url"), database, seconds, engine, tmp)

    def watch(self) -> None:
        """Look from now on, in a thread."""
        threading.Thread(target=self._watch, name="fence", daemon=True).start()

    def is_cut_off(self) -> bool:
        """Tell whether neither the API server nor the database's host answers."""
        return not self._outages.is_server_there() and not is_there(self._database)

    def _watch(self) -> None:
        heard = time.monotonic()
        while True:
            try:
                if not self.is_cut_off():
                    heard = time.monotonic()
            except Exception:  # whatever it is: without this thread nothing would end the steps
                log.exception("It cannot be told whether this host is cut off from its site")
            if time.monotonic() - heard > self._seconds:
                log.error("This host has been cut off from its site for %.0f s: its steps end", self._seconds)
                self._end()
            time.sleep(PAUSE)

    def _end(self) -> None:
        """End all steps as if the kernel had: tasks end with their worker, and nobody says that they have failed."""
        try:
            mounts = self._engine.inspect_mounts(self._engine.list_containers())
            found = [name for name, folders in mounts.items() if self._is_step(folders)]
            if found:
                self._engine.remove(*found)  # at once: one that stays costs the others no time
        except ContainerEngineError as error:  # the next worker of this host removes them
            log.warning("Containers could not be removed: %s", error)
        os.kill(os.getpid(), signal.SIGKILL)

    def _is_step(self, folders: Iterable[str]) -> bool:
        return any(is_intermediate(Path(folder), self._tmp) for folder in folders)


def is_there(database: URL) -> bool:
    """Tell whether the host of a database answers, whatever it says.

    Not by a bare connection, of which MySQL lets a host in no more after some (``max_connect_errors``).
    """
    authorities = database.query.get("ssl_ca")
    try:
        pymysql.connect(
            host=database.host,
            port=database.port or 3306,
            user=database.username,
            password=database.password or "",
            ssl={"ca": authorities} if authorities else None,
            connect_timeout=TIMEOUT,
            read_timeout=TIMEOUT,
            write_timeout=TIMEOUT,
        ).close()
    except pymysql.err.OperationalError as error:
        cause = getattr(error, "original_exception", None)
        return error.args[0] != NO_CONNECTION or isinstance(cause, ConnectionRefusedError)
    except pymysql.err.MySQLError:
        pass  # somebody said so
    return True
