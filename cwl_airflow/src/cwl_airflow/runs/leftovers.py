"""End what tasks left that were killed: a process that is killed ends nothing of what it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

import psutil

from ..containers import ContainerEngine
from .layout import RunLayout
from .processes import adopt_orphans, end_children, remove_noted_containers


def supervise_tasks() -> None:
    """Take over what the tasks of this process leave, and have them end if it is killed itself.

    They are told to end, as by Airflow: they remove their containers.
    """
    adopt_orphans()
    os.register_at_fork(after_in_child=_end_with_parent)


def _end_with_parent() -> None:
    # PR_SET_PDEATHSIG in prctl(2); a program that the child starts does not inherit it.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)


def end_leftovers(engine: ContainerEngine) -> None:
    """End the processes and containers that a task of this process left.

    :param engine: has the containers.
    """
    folders = {folder for child in psutil.Process().children(recursive=True) if (folder := _notes_of(child))}
    end_children()
    for folder in folders:
        remove_noted_containers(folder, engine)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _notes_of(process: psutil.Process) -> Path | None:
    """Return the folder in which the container of a process is noted, if it is one of a run."""
    with contextlib.suppress(psutil.Error):
        for word in process.cmdline():
            folder = Path(os.path.realpath(word.removeprefix("--cidfile="))).parent
            if word.startswith("--cidfile=/") and is_noting_folder(folder):
                return folder
    return None


def is_noting_folder(folder: Path) -> bool:
    """Tell whether containers of this host are noted in a folder by a run. A tool may have been given any other one."""
    runs = [RunLayout(above) for above in folder.parents]
    return any(run.lock.is_file() and run.containers("") in folder.parents for run in runs)


def remove_left_containers(tmp: Path, engine: ContainerEngine) -> None:
    """Remove the containers of this host that are noted in runs, while no task runs on it.

    :param tmp: where the intermediate data of all runs is.
    """
    for run in list(tmp.glob("*/*")):
        # Other hosts may remove theirs meanwhile, which `os.walk` leaves out.
        for folder, _, files in os.walk(RunLayout(run).containers("")):
            if any(file.endswith(".cid") for file in files):
                remove_noted_containers(Path(folder), engine)
