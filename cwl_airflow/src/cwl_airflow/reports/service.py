"""Report what happens to runs of CWL documents to the receiver of the site.

One instance per site works; others wait. It reads Airflow's database and takes no part in running anything. Every
report is kept in the table cwl_reports until it is delivered. If this process is killed between a receiver's answer and
the note of it, that one report is sent again, with the same Idempotency-Key.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timezone
from functools import partial
from typing import Any

import requests
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from . import outbox
from . import receiver as sending
from .deliver import Delivery

log = logging.getLogger(__name__)

#: How often the runs are looked at, in seconds.
INTERVAL = 1.0
#: For how long what is known of the receiver is good, in seconds.
SETTINGS = 5.0

Sessions = Callable[[], AbstractContextManager[Any]]


class Settings:
    """The receiver, read again now and then."""

    def __init__(self, sessions: Sessions) -> None:
        """Begin."""
        self._sessions = sessions
        self._lock = threading.Lock()
        self._read = -SETTINGS
        self._receiver: sending.Receiver | None = None
        self._problem = ""

    def now(self) -> tuple[bool, sending.Receiver | None]:
        """Return whether there is a receiver, and the receiver; none if it cannot be used."""
        with self._lock:
            if time.monotonic() - self._read >= SETTINGS:
                try:
                    with self._sessions() as session:
                        self._receiver, problem = sending.receiver(session), ""
                except sending.Unusable as error:
                    self._receiver, problem = None, str(error)
                if problem and problem != self._problem:
                    log.error("%s. Until then reports are kept and nothing is sent.", problem)
                elif self._problem and not problem:
                    log.info("Reports can be sent again")
                self._problem = problem
                self._read = time.monotonic()
            return bool(self._receiver or self._problem), self._receiver


class Table:
    """The outbox in the database."""

    def __init__(self, sessions: Sessions) -> None:
        """Begin."""
        self._sessions = sessions

    def pending(self, without: Collection[int]) -> list[outbox.Report]:
        """Return the oldest reports, but of some runs."""
        with self._sessions() as session:
            return outbox.pending(session, without)

    def mark(self, ids: Collection[int]) -> None:
        """Note that reports were delivered."""
        with self._sessions() as session:
            outbox.mark_delivered(session, ids, datetime.now(timezone.utc))


class Turn:
    """Whose turn it is: that of the service whose connection holds a lock of MySQL."""

    #: Such a lock is the server's, so that it is named after the database.
    LOCK = "SELECT GET_LOCK(CONCAT('cwl_reports.', MD5(DATABASE())), 0)"
    #: After how many seconds without a question the server takes a holder for dead.
    TIMEOUT = 60

    def __init__(self, engine: Any) -> None:
        """Begin; with another database than MySQL or MariaDB it is always this one's turn."""
        self._engine = engine
        self._guard = threading.Lock()
        self._connection: Any = None
        self._mine: bool | None = None

    def mine(self) -> bool:
        """Tell whether this service is to work."""
        if self._engine.dialect.name not in ("mysql", "mariadb"):
            return True
        with self._guard:
            try:
                if self._connection is None:
                    self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                    self._connection.detach()  # the pool would lend it, and close it when it is old
                    self._connection.execute(sa.text(f"SET SESSION wait_timeout = {self.TIMEOUT}"))
                mine = bool(self._connection.scalar(sa.text(self.LOCK)))
            except SQLAlchemyError:
                if self._connection is not None:
                    with suppress(SQLAlchemyError):
                        self._connection.close()
                self._connection = None
                raise
            if mine is not self._mine:
                log.info("It is my turn to report" if mine else "Another service reports: waiting")
            self._mine = mine
            return mine


class Service:
    """Looks and delivers, each at its own pace: a receiver that hangs hides nothing that happens meanwhile."""

    def __init__(self, sessions: Sessions, watch: Callable[[bool], None], mine: Callable[[], bool]) -> None:
        """Begin.

        :param watch: looks at the runs; is told whether there is a receiver.
        :param mine: tells whether this service is to work, and no other one of the site.
        """
        self._settings = Settings(sessions)
        self._delivery = Delivery(Table(sessions), time.monotonic)
        self._http = requests.Session()
        self._watch = watch
        self._mine = mine
        self.stop = threading.Event()
        self.broken = False

    def run(self) -> None:
        """Work until `stop` is set or something breaks."""
        threads = [threading.Thread(target=self._repeat, args=(what,)) for what in (self._look, self._deliver)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _repeat(self, act: Callable[[], None]) -> None:
        away = False
        while not self.stop.is_set():
            try:
                act()
                if away:
                    log.info("The database is there again")
                away = False
            except SQLAlchemyError as error:
                if not away:
                    log.warning("The database is away: %s", str(error).splitlines()[0])
                away = True
            except Exception:
                log.exception("Stopping")
                self.broken = True
                self.stop.set()
            self.stop.wait(INTERVAL)

    def _idle(self) -> bool:
        return self.stop.is_set() or not self._mine()

    def _look(self) -> None:
        if not self._idle():
            configured, _ = self._settings.now()
            self._watch(configured)

    def _deliver(self) -> None:
        while not self._idle():
            _, receiver = self._settings.now()
            if not receiver or not self._delivery.round(partial(receiver.post, self._http), self._idle):
                return


def main(argv: list[str] | None = None) -> int:
    """Run the service; exit code 1 when something broke, 0 when it was told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(argv)

    from airflow.settings import engine
    from airflow.utils.session import create_session

    from .collect import Watch

    outbox.create(engine)
    service = Service(create_session, Watch(create_session).look, Turn(engine).mine)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: service.stop.set())
    log.info("Reporting to the connection %s, while there is one", sending.CONNECTION)
    service.run()
    return int(service.broken)


if __name__ == "__main__":
    sys.exit(main())
