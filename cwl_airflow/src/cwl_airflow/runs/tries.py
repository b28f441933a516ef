"""What is known of the tries of a task: of one that was lost nobody but the next one can tell.

A try notes that it begins, and how it ends. Where the second note is missing, the process of the task went away
before it could write one: it was killed, or its worker, or its host.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..files import write_atomically


@dataclass(frozen=True)
class Try:
    """A try of a task."""

    number: int
    host: str
    #: When it began and ended, in seconds since the epoch.
    began: float
    ended: float | None = None
    #: Why it failed, in a line.
    error: str = ""
    #: It failed as a part of the host went away, and not by what it does.
    lost: bool = False
    #: How many tries failed by what they do since the task was last cleared, this one among them.
    failures: int = 0


def begin_try(file: Path, number: int, first: int) -> tuple[Try, Try | None]:
    """Note that a try begins.

    :param file: where the last try of the task is noted.
    :param number: of the try, from 1.
    :param first: number of the first one since the task was last cleared.
    :returns: the try, and the one before if it did not succeed.
    """
    before = read_try(file)
    if before and not first <= before.number < number:
        before = None
    began = Try(number, socket.gethostname(), time.time(), failures=before.failures if before else 0)
    write_try(file, began)
    return began, before


def fail_try(file: Path, begun: Try, error: str, lost: bool) -> Try:
    """Note that a try failed.

    :param error: why, in a line.
    :param lost: a part of the host went away.
    """
    failed = replace(begun, ended=time.time(), error=error, lost=lost, failures=begun.failures + (not lost))
    write_try(file, failed)
    return failed


def read_try(file: Path) -> Try | None:
    """Return the try that is noted; none if there is no note that can be read."""
    try:
        return Try(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_try(file: Path, noted: Try) -> None:
    """Note a try."""
    write_atomically(file, json.dumps(asdict(noted)))


def describe_try(noted: Try) -> str:
    """Say in a line how a try ended that did not succeed."""
    began, ended = (
        time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment)) if moment else ""
        for moment in (noted.began, noted.ended)
    )
    if not ended:
        return (
            f"Try {noted.number} of this task was lost: its process on {noted.host}, begun at {began}, ended without "
            "a word. It was killed, or its worker was, or the host went down."
        )
    how = "was lost" if noted.lost else "failed"
    return f"Try {noted.number} of this task {how} on {noted.host} at {ended}: {noted.error}"
