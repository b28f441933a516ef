"""Who is told: a credential of the service of the reports alone, with the mail server's password in it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..reports.settings import read_credential
from .mail import MailSettings

#: Under which name systemd gives it.
CREDENTIAL = "notices"


class NoticesMisconfigured(Exception):
    """The credential is there and cannot be used; the message says why, and nothing of what is in it."""


@dataclass(frozen=True)
class NoticeSettings:
    """What is told, and to whom."""

    #: What the site is called.
    site: str
    #: Whether the receiver of the reports is told how the site is.
    report: bool
    mail: MailSettings | None


def read_settings() -> NoticeSettings | None:
    """Return the settings; none if nothing is to be told.

    :raises NoticesMisconfigured: they cannot be read.
    """
    text = read_credential(CREDENTIAL)
    if text is None:
        return None
    try:
        found = json.loads(text)
        mail = found["mail"]
        settings = MailSettings(**{**mail, "to": tuple(mail["to"])}) if mail else None
        return NoticeSettings(found["site"], bool(found["report"]), settings)
    except (ValueError, TypeError, KeyError) as error:
        raise NoticesMisconfigured(
            f"The credential {CREDENTIAL} of this service cannot be used ({type(error).__name__}): run site.yml again"
        ) from None
