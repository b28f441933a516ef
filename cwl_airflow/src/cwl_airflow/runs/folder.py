"""Hold the folder of a run while a task works in it, and remove those of runs that failed long ago."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from ..gate.places import ATTACHMENTS
from .layout import FAILED, RunLayout

#: The data of a failed run is kept for an hour at least, in seconds: the task may be about to be tried again.
SHORTEST_KEPT = 3600


@contextlib.contextmanager
def held_folder(layout: RunLayout) -> Iterator[None]:
    """Hold the folder of a run while a task works in it, so that nobody else removes it; note if the task fails."""
    layout.failed.unlink(missing_ok=True)
    try:
        with layout.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield
    except BaseException:
        layout.mark_failed()
        raise


def remove_old_failures(tmp: Path, days: float) -> None:
    """Remove the data of runs that failed some time ago and were not tried again.

    :param tmp: where the intermediate data of all runs is.
    :param days: for how many days it is kept.
    """
    for note in tmp.glob(f"*/*/{FAILED}"):
        layout = RunLayout(note.parent)
        if note.parent.parent.name == ATTACHMENTS:
            continue
        with contextlib.suppress(OSError):
            if time.time() - note.stat().st_mtime < max(days * 86400, SHORTEST_KEPT):
                continue
            with layout.lock.open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # or one of its tasks runs
                shutil.rmtree(layout.folder, ignore_errors=True)
