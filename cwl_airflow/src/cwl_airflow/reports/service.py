"""The service that reports what happens to runs of CWL documents to the receiver of the site.

One instance per site works; others wait. It reads Airflow's database and takes no part in running anything. Every
report is kept in the table cwl_reports until it is delivered. If this process is killed between a receiver's answer and
the note of it, that one report is sent again, with the same Idempotency-Key.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from typing import TypeAlias

import requests
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, configure_mappers

from ..watchdog import tell_alive
from . import outbox
from .deliver import ReportDelivery
from .outbox import Sessions
from .receiver import ReceiverMisconfigured, ReportReceiver

log = logging.getLogger(__name__)

#: How often the runs are looked at, in seconds.
INTERVAL = 1.0
#: For how long what is known of the receiver is good, in seconds.
SETTINGS_LIFETIME = 5.0

ReadReceiver: TypeAlias = Callable[[Session], ReportReceiver | None]


class ReceiverSettings:
    """The receiver, read again now and then."""

    def __init__(self, sessions: Sessions, read_receiver: ReadReceiver) -> None:
        """Know nothing of the receiver yet.

        :param read_receiver: returns the receiver, none if there is none; raises `ReceiverMisconfigured`.
        """
        self._sessions = sessions
        self._read_receiver = read_receiver
        self._lock = threading.Lock()
        self._read_at = -SETTINGS_LIFETIME
        self._receiver: ReportReceiver | None = None
        self._problem = ""

    def current_receiver(self) -> tuple[bool, ReportReceiver | None]:
        """Return whether there is a receiver, and the receiver; none if it cannot be used."""
        with self._lock:
            if time.monotonic() - self._read_at >= SETTINGS_LIFETIME:
                self._read()
                self._read_at = time.monotonic()
            return bool(self._receiver or self._problem), self._receiver

    def _read(self) -> None:
        try:
            with self._sessions() as session:
                self._receiver, problem = self._read_receiver(session), ""
        except ReceiverMisconfigured as error:
            self._receiver, problem = None, str(error)
        if problem and problem != self._problem:
            log.error("%s. Until then reports are kept and nothing is sent.", problem)
        elif self._problem and not problem:
            log.info("Reports can be sent again")
        self._problem = problem


class OutboxTable:
    """The outbox in the database."""

    def __init__(self, sessions: Sessions) -> None:
        """Take what makes sessions of the database, each a transaction."""
        self._sessions = sessions

    def find_pending(self, without_runs: Collection[int]) -> list[outbox.Report]:
        """Return the oldest reports, but of some runs."""
        with self._sessions() as session:
            return outbox.find_pending(session, without_runs)

    def mark_delivered(self, ids: Collection[int]) -> None:
        """Note that reports were delivered."""
        with self._sessions() as session:
            outbox.mark_delivered(session, ids, datetime.now(timezone.utc))


class SiteLock:
    """Lets one service of a site work: that whose connection holds a lock of MySQL."""

    #: Such a lock is the server's, so that it is named after the database.
    QUERY = "SELECT GET_LOCK(CONCAT('cwl_reports.', LEFT(SHA2(DATABASE(), 256), 40)), 0)"
    #: After how many seconds without a question the server takes a holder for dead.
    TIMEOUT = 60

    def __init__(self, engine: Engine) -> None:
        """Hold no lock yet; with another database than MySQL there is none, and each service works."""
        self._engine = engine
        self._guard = threading.Lock()
        self._connection: Connection | None = None
        self._was_held: bool | None = None

    def try_to_hold(self) -> bool:
        """Tell whether this service is to work, which it is from the first time that no other one does."""
        if self._engine.dialect.name != "mysql":
            return True
        with self._guard:
            try:
                is_held = self._ask_for_lock()
            except SQLAlchemyError:
                self._drop_connection()
                raise
            if is_held is not self._was_held:
                log.info("It is my turn to report" if is_held else "Another service reports: waiting")
            self._was_held = is_held
            return is_held

    def _ask_for_lock(self) -> bool:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._connection.detach()  # the pool would lend it, and close it when it is old
            self._connection.execute(sa.text(f"SET SESSION wait_timeout = {self.TIMEOUT}"))
        return bool(self._connection.scalar(sa.text(self.QUERY)))

    def _drop_connection(self) -> None:
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                self._connection.close()
        self._connection = None


class ReportService:
    """Collects and delivers, each at its own pace: a receiver that hangs hides nothing that happens meanwhile."""

    def __init__(
        self,
        sessions: Sessions,
        read_receiver: ReadReceiver,
        collect: Callable[[bool], None],
        is_our_turn: Callable[[], bool],
    ) -> None:
        """Put the parts together; `run` starts them.

        :param read_receiver: returns the receiver, none if there is none; raises `ReceiverMisconfigured`.
        :param collect: looks at the runs; is told whether there is a receiver.
        :param is_our_turn: tells whether this service is to work, and no other one of the site.
        """
        self._settings = ReceiverSettings(sessions, read_receiver)
        self._delivery = ReportDelivery(OutboxTable(sessions), time.monotonic)
        self._http = requests.Session()
        self._collect = collect
        self._is_our_turn = is_our_turn
        #: What it does again and again, each in a thread of its own.
        self.actions: list[Callable[[], None]] = [self._collect_once, self._deliver_all]
        self.stop = threading.Event()
        self.broken = False

    def run(self) -> None:
        """Work until `stop` is set or something breaks."""
        # Before there are threads: one that imports models and one that makes their mappers wait for each other.
        configure_mappers()
        threads = [threading.Thread(target=self._repeat, args=(action,)) for action in self.actions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _repeat(self, action: Callable[[], None]) -> None:
        database_away = False
        while not self.stop.is_set():
            try:
                action()
                if database_away:
                    log.info("The database is there again")
                database_away = False
            except SQLAlchemyError as error:
                if not database_away:
                    log.warning("The database is away: %s", str(error).splitlines()[0])
                database_away = True
            except Exception:
                log.exception("Stopping")
                self.broken = True
                self.stop.set()
            self.stop.wait(INTERVAL)

    def must_rest(self) -> bool:
        """Tell whether to do nothing: it ends, or another service of the site works."""
        return self.stop.is_set() or not self._is_our_turn()

    def _collect_once(self) -> None:
        tell_alive()
        if not self.must_rest():
            configured, _ = self._settings.current_receiver()
            self._collect(configured)

    def _deliver_all(self) -> None:
        while not self.must_rest():
            _, receiver = self._settings.current_receiver()
            if not receiver or not self._delivery.deliver_due(partial(receiver.post, self._http), self.must_rest):
                return
