"""What the service of the reports does for mails, and for the reports of the site itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from ..reports import outbox
from ..reports.deliver import ReportDelivery
from ..reports.events import ReportEvent
from ..reports.outbox import MAIL, SITE_RUN, Report, Sessions
from ..reports.receiver import ReceiverUnreachable, ReportRefused
from .failures import FailedRuns
from .mail import MailServer, MailTable
from .settings import NoticeSettings
from .watch import Problems, SiteWatch
from .words import site_mail, site_report

log = logging.getLogger(__name__)

#: How often runs are looked at and mails sent, in seconds.
INTERVAL = 5.0
#: Where the receiver of the reports gets how the site is.
SITE = "site"
#: For how long no mail is tried where the server takes none, at most, in seconds: it may count logins that fail.
LONGEST_PAUSE = 600


class Notices:
    """Looks at runs and site, and sends mails; what is for the receiver, the outbox delivers."""

    def __init__(
        self,
        settings: NoticeSettings,
        sessions: Sessions,
        must_rest: Callable[[], bool],
        find_problems: Callable[[], Problems],
    ) -> None:
        """Put the parts together.

        :param sessions: makes sessions of Airflow's database, each a transaction.
        :param must_rest: tells whether to do nothing, as another service of the site works.
        :param find_problems: returns what is wrong with the site, also while the database is away.
        """
        self._site = settings.site
        self._sessions = sessions
        self._must_rest = must_rest
        self._watch = SiteWatch(find_problems, time.monotonic)
        self._channels = {SITE: site_report} if settings.report else {}
        self._due = time.monotonic()
        self._told_is_known = False
        self._server: MailServer | None = None
        if settings.mail:
            self._server = MailServer(settings.mail)
            self._channels[MAIL] = site_mail
            self._failures = FailedRuns(sessions, settings.site)
            words = ("Mail", self._server.name)
            table = MailTable(sessions, settings.site)
            self._delivery = ReportDelivery(table, time.monotonic, words, LONGEST_PAUSE)

    def work(self) -> None:
        """Look and send once, if it is time to.

        :raises SQLAlchemyError: the database is away, which was mailed then, without the outbox.
        """
        if time.monotonic() < self._due:
            return
        try:
            if self._must_rest():
                return
        except SQLAlchemyError:
            self._look()
            self._mail_without_outbox()
            raise
        self._look()
        self._write_news()
        if self._server:
            self._failures.collect()
            while self._delivery.deliver_due(self._server.post, self._must_rest):
                pass
        # Only now: a database that is away is not there again because nobody asked it.
        self._due = time.monotonic() + INTERVAL

    def _look(self) -> None:
        try:
            self._watch.look()
        except SQLAlchemyError:
            raise
        except Exception:  # it must not keep mails and reports from being sent
            log.exception("How the site is cannot be found out")

    def _read_told(self) -> None:
        """Read what was told before this service started."""
        with self._sessions() as session:
            for route in self._channels:
                told = outbox.read_newest_of_site(session, route)
                if names := [problem["name"] for problem in told.get("problems", ())]:
                    self._watch.note_told(route, names)
        self._told_is_known = True

    def _write_news(self) -> None:
        if not self._told_is_known:
            self._read_told()
        for route, word in self._channels.items():
            problems = self._watch.find_news(route)
            if problems is None:
                continue
            now = datetime.now(timezone.utc)
            event = ReportEvent(_key(route, now), route, now, word(self._site, problems))
            with self._sessions() as session:
                outbox.write_events(session, SITE_RUN, [event], outbox.to_naive_utc(now))
            self._note_told(route, problems)

    def _mail_without_outbox(self) -> None:
        problems = self._watch.find_news(MAIL)
        if problems is None or self._server is None:
            return
        payload: dict[str, Any] = site_mail(self._site, problems)
        try:
            self._server.post(Report(0, _key(MAIL, datetime.now(timezone.utc)), SITE_RUN.id, MAIL, payload))
        except (ReceiverUnreachable, ReportRefused) as error:
            log.warning("That the site is not well cannot be mailed: %s", error)
        else:
            self._note_told(MAIL, problems)

    def _note_told(self, route: str, problems: Problems) -> None:
        said = "; ".join(f"{name}: {text}" for name, text in problems.items()) or "well again"
        log.info("Told how the site is (%s): %s", route, said)
        self._watch.note_told(route, problems)


def _key(route: str, now: datetime) -> str:
    return SITE_RUN.event_key(route, now.isoformat())
