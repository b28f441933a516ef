"""Wait with a task while its disks are nearly full: what fills up in the middle of a step costs the whole step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

#: How long to wait before looking again, and how often to say that it goes on, in seconds.
PAUSE, REMINDER = 5, 600


def find_full(folders: Iterable[Path], least: float) -> list[str]:
    """Describe the folders whose file systems have too little room, one folder of each file system.

    :param folders: those that are not there do not count.
    :param least: how much must be free for who is not root, in MiB.
    """
    found: dict[int, str] = {}
    for folder in folders:
        try:
            device, there = os.stat(folder).st_dev, os.statvfs(folder)
        except OSError:
            continue
        free = there.f_bavail * there.f_frsize / 2**20
        if free < least:
            found.setdefault(device, f"{folder} has {free:.0f} MiB free")
    return [*found.values()]


def wait_for_room(folders: Iterable[Path], least: float, say: Callable[[str], None]) -> None:
    """Wait until the file systems of folders have room.

    :param folders: those that are not there do not count.
    :param least: how much must be free, in MiB; 0 to wait for nothing.
    :param say: takes a line for people: what is waited for, and that it has come.
    """
    folders, said = list(folders), 0.0
    while least and (full := find_full(folders, least)):
        if not said or time.monotonic() - said >= REMINDER:
            said = time.monotonic()
            say(f"This task begins when there is room: {', '.join(full)}, and {least:g} are to be ([cwl] min_free).")
        time.sleep(PAUSE)
    if said:
        say("There is room: the task begins.")
