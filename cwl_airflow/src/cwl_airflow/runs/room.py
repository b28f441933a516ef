"""Wait with a task while its disks are nearly full: what fills up in the middle of a step costs the whole step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

#: How long to wait before looking again, and for how long at most, in seconds: then others get the task's place in the
#: worker, of which some free room.
PAUSE, LONGEST = 5, 60


def find_full(folders: Iterable[Path], least: float) -> list[str]:
    """Describe the folders whose file systems have too little room, one folder of each file system.

    :param folders: of one that is not there, what is above it counts.
    :param least: how much must be free for who is not root, in MiB.
    """
    found: dict[int, str] = {}
    for folder in map(existing, folders):
        try:
            device, there = os.stat(folder).st_dev, os.statvfs(folder)
        except OSError:
            continue
        if not there.f_blocks:
            continue  # it does not say
        free = there.f_bavail * there.f_frsize / 2**20
        if free < least:
            found.setdefault(device, f"{folder} has {free:.0f} MiB free")
    return [*found.values()]


def existing(folder: Path) -> Path:
    """Return the nearest folder at or above a path that is there."""
    return next((each for each in (folder, *folder.parents) if each.exists()), folder)


def wait_for_room(folders: Iterable[Path], least: float, say: Callable[[str], None]) -> bool:
    """Wait for some time until the file systems of folders have room, and tell whether they have.

    :param folders: of one that is not there, what is above it counts.
    :param least: how much must be free, in MiB; 0 to wait for nothing.
    :param say: takes a line for people: what is waited for, and that it has come.
    """
    folders, began, said = list(folders), time.monotonic(), False
    while least and (full := find_full(folders, least)):
        if not said:
            say(f"This task begins when there is room: {', '.join(full)}, and {least:g} are to be ([cwl] min_free).")
            said = True
        if time.monotonic() - began >= LONGEST:
            return False
        time.sleep(PAUSE)
    if said:
        say("There is room: the task begins.")
    return True
