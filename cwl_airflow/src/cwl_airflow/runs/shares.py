"""What the steps on a host take together is no more than it has, whichever queues they come from.

Each step claims what its queue grants and waits until it fits. Whoever came first goes first, so that small steps never
keep a large one waiting for ever.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from ..files import write_atomically
from .limits import Resources

#: Seconds between two looks whether there is room: first, and at most.
PAUSE, LONGEST = 0.1, 1
#: What is left to the system, in MiB and as a part of all: as the wiring reckons the slots of a worker.
RESERVE, PART = 1024, 10

Claim = dict[str, Any]


def host_resources() -> Resources:
    """Return what steps may take of this host together."""
    memory = psutil.virtual_memory().total / 2**20
    return Resources(len(os.sched_getaffinity(0)), max(RESERVE, min(memory - RESERVE, memory - memory // PART)))


def shares_file() -> Path:
    """Return where the claims of this host stand: beside the worker's own files, which are gone after a reboot."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(folder or tempfile.gettempdir()) / f"cwl-airflow-shares-{os.getuid()}.json"


@contextlib.contextmanager
def held_share(wanted: Resources, say: Callable[[str], None], has: Resources | None = None) -> Iterator[None]:
    """Hold a share of this host, and wait until it is free.

    :param wanted: what it is; of more than there is, all.
    :param say: takes a line for people: what is waited for, and that it has come.
    :param has: what steps may take together, by default `host_resources`.
    """
    has = has or host_resources()
    claim = {
        "id": str(uuid.uuid4()),
        "process": os.getpid(),
        "start": start_of(os.getpid()),
        "cores": min(wanted.cores, has.cores),
        "ram": min(wanted.ram, has.ram),
        "held": False,
    }
    said, pause = False, PAUSE
    try:
        while not _is_held(claim, has):
            if not said:
                wants = f"{claim['cores']:g} cores and {claim['ram']:g} MiB"
                say(f"This step begins when {wants} of this host are free: other steps have them.")
                said = True
            time.sleep(pause)
            pause = min(2 * pause, LONGEST)
        if said:
            say("They are free: the step begins.")
        yield
    finally:
        with _claims() as claims:
            claims[:] = [other for other in claims if other["id"] != claim["id"]]


def _is_held(claim: Claim, has: Resources) -> bool:
    """Queue a claim unless it is, and tell whether it is its turn and fits."""
    with _claims() as claims:
        if all(other["id"] != claim["id"] for other in claims):
            claims.append(claim)
        for other in claims:
            if not other["held"]:
                held = [each for each in claims if each["held"]]
                # Floats that are added up may be a little more than their sum.
                if any(
                    sum(each[kind] for each in held) + other[kind] > limit * (1 + 1e-9)
                    for kind, limit in (("cores", has.cores), ("ram", has.ram))
                ):
                    break
                other["held"] = True
        return next(bool(other["held"]) for other in claims if other["id"] == claim["id"])


@contextlib.contextmanager
def _claims() -> Iterator[list[Claim]]:
    """Return the claims of processes that are there, and keep what is made of them."""
    file = shares_file()
    lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = file.read_text(encoding="utf-8") if file.exists() else "[]"
        claims = [claim for claim in json.loads(before) if start_of(claim["process"]) == claim["start"]]
        yield claims
        if (after := json.dumps(claims)) != before:
            write_atomically(file, after)
    finally:
        os.close(lock)


def start_of(process: int) -> int | None:
    """Return when a process started, in ticks since the boot, which no clock moves; none if there is no such process.

    Source: field 22 of /proc/<process>/stat in proc(5).
    """
    try:
        return int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return None
