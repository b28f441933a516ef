"""What is told of a site, and in one mail in the place of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..strict_json import storable

#: How many mails one names in whose place it comes.
MOST_NAMED = 100


def first_mail(site: str) -> dict[str, Any]:
    """Return the mail with which mails begin, so that one sees that they come."""
    subject = f"{site}: mails are set up"
    text = "A mail comes when a run of a CWL document fails, and when something of the site has to be seen to."
    return {"subject": storable(subject), "text": text, "line": storable(subject)}


def site_mail(site: str, problems: Mapping[str, str]) -> dict[str, Any]:
    """Return the mail of a site that is not well, or well again.

    :param problems: what is wrong by part; nothing if all is well.
    """
    subject = f"{site}: {', '.join(problems)} {'is' if len(problems) == 1 else 'are'} not well"
    subject = subject if problems else f"{site}: well again"
    told = "".join(f"{name}: {text}\n\n" for name, text in problems.items())
    hint = "sudo cwl-airflow-status on a host of the site, and the page CWL, say more."
    text = told + hint if problems else "What was told before is mended."
    words = {"subject": storable(subject), "text": storable(text), "line": storable(subject)}
    return {**site_report(site, problems), **words}


def site_report(site: str, problems: Mapping[str, str]) -> dict[str, Any]:
    """Return the report of a site that is not well, or well again: the same for the receiver of the reports."""
    listed = [{"name": name, "text": storable(text)} for name, text in problems.items()]
    return {"site": site, "well": not problems, "problems": listed}


def several(site: str, mails: Sequence[Mapping[str, Any]], most: int) -> dict[str, Any]:
    """Return a mail in the place of several.

    :param most: how many mails are sent in an hour.
    """
    lines = [str(mail["line"]) for mail in mails[:MOST_NAMED]]
    lines += [f"and {len(mails) - MOST_NAMED} more"] if len(mails) > MOST_NAMED else []
    intro = f"These come in one mail, as {most} mails in an hour are the most that are sent:"
    return {"subject": f"{site}: {len(mails)} more", "text": "\n\n".join([intro, *lines])}
