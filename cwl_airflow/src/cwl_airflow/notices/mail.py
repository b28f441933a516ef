"""Send mails through the server of the site.

Source: RFC 5321, RFC 8314 (TLS), RFC 3834 (mails that no person wrote).
"""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from ..reports import outbox
from ..reports.outbox import Report, Sessions
from ..reports.receiver import ReceiverUnreachable, ReportRefused
from .words import several

log = logging.getLogger(__name__)

#: For how long the server may take for each answer, in seconds.
TIMEOUT = 20
#: How many mails are sent in an hour; what is more comes together in the last of them.
MOST_IN_AN_HOUR = 10
#: How many may come together, and characters of a subject.
MOST_TOGETHER, LONGEST_SUBJECT = 1000, 200


@dataclass(frozen=True)
class MailSettings:
    """To whom mails go, and through which server."""

    #: Addresses, as the sender's below.
    to: tuple[str, ...]
    sender: str
    server: str
    port: int
    #: ``starttls``, ``tls``, or ``none``.
    security: str
    #: Empty where the server asks for no login.
    user: str = ""
    password: str = field(default="", repr=False)


class MailServer:
    """The server through which mails go."""

    def __init__(self, settings: MailSettings) -> None:
        """Connect to nothing yet: each mail has a connection of its own."""
        self._settings = settings

    @property
    def name(self) -> str:
        """The server as the log calls it."""
        return f"The mail server {self._settings.server}:{self._settings.port}"

    def post(self, mail: Report) -> None:
        """Send a mail.

        :raises ReceiverUnreachable: the server is not there, or takes no mails from here.
        :raises ReportRefused: it does not take this one.
        """
        try:
            with self._connect() as connection:
                refused = connection.send_message(compose(self._settings, mail), to_addrs=self._settings.to)
                # It has the mail: whatever happens now is no reason to send it again.
                with suppress(smtplib.SMTPException, OSError):
                    connection.quit()
        except smtplib.SMTPDataError as error:
            raise ReportRefused(f"{self.name} answered {error.smtp_code}: {_text(error.smtp_error)}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise ReceiverUnreachable(f"{self.name} cannot be used: {_reason(error)}") from None
        for address, (code, text) in refused.items():
            log.warning("%s takes nothing for %s: %s %s", self.name, address, code, _text(text))

    def _connect(self) -> _Connection:
        settings = self._settings
        if settings.security == "tls":
            connection: _Connection = _TLSConnection(
                settings.server, settings.port, timeout=TIMEOUT, context=ssl.create_default_context()
            )
        else:
            connection = _Connection(settings.server, settings.port, timeout=TIMEOUT)
        try:
            if settings.security == "starttls":
                connection.starttls(context=ssl.create_default_context())
            if settings.user:
                connection.login(settings.user, settings.password)
        except BaseException:
            connection.close()
            raise
        return connection


class _Connection(smtplib.SMTP):
    """A connection that is closed at the end of a block; the library's asks once more there, and may fail by it."""

    def __exit__(self, *_: object) -> None:
        self.close()


class _TLSConnection(smtplib.SMTP_SSL, _Connection):
    """The same with TLS from its start."""


def compose(settings: MailSettings, mail: Report) -> EmailMessage:
    """Return a mail as it is sent; its ``Message-ID`` is the same if it is sent again."""
    # Not every server takes eight bits.
    message = EmailMessage(SMTP.clone(cte_type="7bit"))
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.to)
    subject = " ".join("".join(char if char.isprintable() else " " for char in mail.payload["subject"]).split())
    message["Subject"] = subject if len(subject) <= LONGEST_SUBJECT else f"{subject[: LONGEST_SUBJECT - 1]}…"
    message["Date"] = format_datetime(datetime.now(timezone.utc))
    message["Message-ID"] = f"<{mail.key}@{settings.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.payload["text"])
    return message


class MailTable:
    """The mails in the outbox, of which so many are sent in an hour, and the others together."""

    def __init__(self, sessions: Sessions, site: str) -> None:
        """Take what makes sessions of the database, each a transaction."""
        self._sessions = sessions
        self._site = site
        #: By the id under which they were given out: those that go together.
        self._together: dict[int, list[int]] = {}

    def find_pending(self, without_runs: Collection[int]) -> list[Report]:
        """Return the mail that is to be sent next, but of some runs; none where it has to wait."""
        with self._sessions() as session:
            left = MOST_IN_AN_HOUR - outbox.count_deliveries(session, _now() - timedelta(hours=1))
            limit = min(max(left, 0), 1) if left != 1 else MOST_TOGETHER
            mails = outbox.find_pending(session, without_runs, limit, mails=True) if limit else []
        if len(mails) < 2:
            return mails
        first = mails[0]
        self._together = {first.id: [mail.id for mail in mails]}
        payload = several(self._site, [mail.payload for mail in mails], MOST_IN_AN_HOUR)
        return [Report(first.id, first.key, first.dag_run_id, first.route, payload)]

    def mark_delivered(self, ids: Collection[int]) -> None:
        """Note that mails were sent."""
        with self._sessions() as session:
            outbox.mark_delivered(session, [each for one in ids for each in self._together.get(one, [one])], _now())


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _text(answer: Any) -> str:
    """Return what the server answered, in a line."""
    return " ".join((answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)).split())[:300]


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{code} {_text(text)} ({who})" for who, (code, text) in error.recipients.items())
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return _text(error) or type(error).__name__
