"""How the last tidying of this host ended. Commands read it without Airflow, whose import takes seconds."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ..configuration import airflow_home
from ..files import write_atomically

#: After how long a host has missed it, which may be tidied up once a month.
LATE = timedelta(days=33)
#: The unit, of which the journal says more.
UNIT = "airflow-cwl-tidy"


class TidyingFailed(Exception):
    """The last tidying failed, or there was none for long; the message says when and why."""


class TidyingBusy(Exception):
    """This host is being tidied up already."""


@contextmanager
def noted_tidying() -> Iterator[list[str]]:
    """Note that a tidying begins, and how it ends: with what is put into the list, which is why it failed.

    :raises TidyingBusy: another one is at work.
    """
    with _lock_file().open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TidyingBusy("this host is being tidied up already") from error
        failures: list[str] = []
        began = datetime.now(timezone.utc)
        # One that is killed notes nothing more.
        _write(began, None, failures)
        yield failures
        _write(began, datetime.now(timezone.utc), failures)


def check_tidying(timeout: int) -> str:
    """Say when this host was tidied up last.

    :param timeout: there is nothing to wait for.
    :raises TidyingFailed: it failed, did not come to its end, or was too long ago.
    """
    del timeout
    try:
        noted = json.loads(_outcome_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "not tidied up yet"
    began, ended, failures = datetime.fromisoformat(noted["began"]), noted["ended"], noted["failures"]
    when, more = f"{began:%Y-%m-%d %H:%M} UTC", f"journalctl -u {UNIT} says more"
    if ended is None and _is_at_work():
        return f"at work since {when}"
    if ended is None:
        raise TidyingFailed(f"the tidying of {when} was ended before it was done: {more}")
    if failures:
        raise TidyingFailed(f"the tidying of {when} failed: {'; '.join(failures)} ({more})")
    if datetime.now(timezone.utc) - began > LATE:
        raise TidyingFailed(f"the last tidying was that of {when}: see systemctl status {UNIT}.timer")
    return f"tidied up at {when}"


def _write(began: datetime, ended: datetime | None, failures: Collection[str]) -> None:
    noted = {"began": began.isoformat(), "ended": ended and ended.isoformat(), "failures": list(failures)}
    write_atomically(_outcome_file(), json.dumps(noted))


def _is_at_work() -> bool:
    with _lock_file().open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _outcome_file() -> Path:
    return airflow_home() / "tidying.json"


def _lock_file() -> Path:
    return airflow_home() / "tidying.lock"
