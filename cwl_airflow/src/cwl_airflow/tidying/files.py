"""Which files of a site are old: data between steps, logs of tasks, outputs, and what is kept of documents."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from ..dags.shown import SHOWN
from ..documents.cache import files_unchanged
from ..gate import Refused
from ..gate.places import ATTACHMENTS, EMBEDDED, LOCK, RUNNER, RUNNER_DOCUMENTS, open_regular
from ..runs.folder import SHORTEST_KEPT
from . import trees
from .removal import DAY, Removal


class Runs(Protocol):
    """What of a site's runs its database knows. It is asked anew each time: a run may be cleared, and goes on."""

    def names_unended(self, text: str) -> bool:
        """Tell whether a text names a run that has not ended, and its DAG."""

    def needs_data(self, dag_id: str, name: str) -> bool:
        """Tell whether a folder has the intermediate data of a run that has not ended, or that succeeded."""

    def needs_outputs(self, dag_id: str, name: str) -> bool:
        """Tell whether a run that has not ended may read a folder of outputs, or write into it."""

    def has_dag(self, dag_id: str) -> bool:
        """Tell whether there is a DAG, or a run of it."""

    def has_unended(self, dag_id: str) -> bool:
        """Tell whether a DAG has a run that has not ended."""


def remove_run_data(removal: Removal, tmp: Path, days: float, runs: Runs) -> None:
    """Remove the data between steps of runs that failed, or that nobody knows any more.

    What a run that succeeded has left was to be kept (``keep_tmp_data``).

    :param tmp: where the intermediate data of all runs is.
    :param days: for how many days nothing of it has changed.
    """
    seconds = max(days * DAY, SHORTEST_KEPT)
    for dag_id, name in _second_level(removal, tmp):
        if dag_id == ATTACHMENTS:
            removal.remove_if_old(tmp, (dag_id, name), seconds, partial(runs.has_dag, name))
            continue
        with (
            removal.one(str(tmp / dag_id / name)),
            trees.open_folder(tmp, dag_id, name) as folder,
            _held_alone(folder) as alone,
        ):
            if alone:
                removal.remove_if_old(tmp, (dag_id, name), seconds, partial(runs.needs_data, dag_id, name))
    _remove_empty(removal, tmp, seconds)


def remove_outputs(removal: Removal, outputs: Path, days: float, runs: Runs) -> None:
    """Remove the outputs of runs that have ended.

    :param outputs: where the outputs of all runs are.
    :param days: for how many days nothing of them has changed.
    """
    for dag_id, name in _second_level(removal, outputs):
        removal.remove_if_old(outputs, (dag_id, name), days * DAY, partial(runs.needs_outputs, dag_id, name))
    _remove_empty(removal, outputs, days * DAY)


def remove_logs(removal: Removal, logs: Path, days: float, runs: Runs) -> None:
    """Remove the logs of tasks whose runs have ended, and those of the DAG processor.

    :param logs: where all are.
    :param days: for how many days a file has not changed.
    """
    #: Folders that had not changed for a time before anything in them was removed.
    old: set[Path] = set()
    with removal.one(str(logs)), trees.open_folder(logs) as root:
        for above, folders, files, folder in os.fwalk(".", topdown=False, dir_fd=root, follow_symlinks=False):
            place = logs / above
            if time.time() - os.fstat(folder).st_mtime >= days * DAY:
                old.add(place)
            for name in files:
                with removal.one(str(place / name)):
                    extent = trees.measure(folder, name)
                    if time.time() - extent.changed < days * DAY or runs.names_unended(str(place / name)):
                        continue
                    if not removal.dry_run:
                        trees.remove(folder, name)
                    removal.note(str(place / name), extent.bytes)
            for name in folders if not removal.dry_run else ():
                if place / name in old and not runs.names_unended(str(place / name)):
                    with suppress(OSError):  # not empty
                        os.rmdir(name, dir_fd=folder)


def remove_kept(removal: Removal, pickle: Path, days: float) -> None:
    """Remove what is kept of documents that were changed or are gone, and documents that came as text and are not read.

    What is removed and needed after all is made again, by whoever reads the DAG file.

    :param pickle: where it is kept.
    :param days: for how many days it has not changed.
    """
    names: list[str] = []
    with removal.one(str(pickle)), trees.open_folder(pickle) as folder:
        names = sorted(os.listdir(folder))
    read: set[str] = set()
    for name in names:
        uris = _usable_texts(pickle / name) if name.endswith(".kept") else None
        if uris is not None:
            read.update(uri.rpartition("/")[2] for uri in uris)
        elif name.endswith((".kept", ".lock", ".new")):
            removal.remove_if_old(pickle, (name,), days * DAY)
    for kind, needed in ((EMBEDDED, read), (SHOWN, set())):
        with suppress(FileNotFoundError), trees.open_folder(pickle, kind) as folder:
            for name in sorted(set(os.listdir(folder)) - needed):
                removal.remove_if_old(pickle, (kind, name), days * DAY)


def remove_runner_inputs(removal: Removal, inputs: Path, days: float, runs: Runs) -> None:
    """Remove inputs that `cwl-runner` put into reach of runs which have ended.

    :param inputs: where those of all runs are.
    :param days: for how many days they have been there.
    """
    seconds = max(days * DAY, SHORTEST_KEPT)
    for root in _runner_folders(removal, inputs):
        for dag_id, name in _second_level(removal, root):
            if dag_id != RUNNER_DOCUMENTS:
                needed = partial(runs.names_unended, f"{dag_id}/{name}")
                removal.remove_if_old(root, (dag_id, name), seconds, needed)
        _remove_empty(removal, root, seconds)


def remove_runner_documents(removal: Removal, inputs: Path, dags: Path, days: float, runs: Runs) -> None:
    """Remove DAG files of `cwl-runner` that nobody used for a time, and documents that none of them names.

    :param dags: where all DAG files are; each use of one changes its time.
    :param days: for how many days nobody did.
    """
    named, left = set(), ""
    with removal.one(str(dags / RUNNER)), trees.open_folder(dags, RUNNER) as folder:
        named = {name for name in os.listdir(folder) if name.endswith(".py")}
    for name in sorted(named):
        needed = partial(runs.has_unended, name.removesuffix(".py"))
        removal.remove_if_old(dags, (RUNNER, name), days * DAY, needed)
        left += _text_of(dags / RUNNER / name)
    for root in _runner_folders(removal, inputs):
        with suppress(FileNotFoundError), trees.open_folder(root, RUNNER_DOCUMENTS) as folder:
            for name in trees.list_folders(folder):
                if f"/{RUNNER_DOCUMENTS}/{name}/" not in left:
                    removal.remove_if_old(root, (RUNNER_DOCUMENTS, name), days * DAY)


def _text_of(file: Path) -> str:
    """Return what is in a DAG file; nothing if it is none, which a member of the group may have put there."""
    with suppress(OSError, ValueError, Refused), open_regular(os.path.realpath(file), file.name) as stream:
        return stream.read().decode()
    return ""


def _runner_folders(removal: Removal, inputs: Path) -> list[Path]:
    """Return the folders of those who used `cwl-runner`."""
    with removal.one(str(inputs / RUNNER)), trees.open_folder(inputs, RUNNER) as folder:
        return [inputs / RUNNER / name for name in trees.list_folders(folder)]
    return []


def _usable_texts(entry: Path) -> Collection[str] | None:
    """Return what an entry was made of, by URI; none if that is not there as it was: then nobody uses the entry."""
    try:
        with open(os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as stream:
            texts = json.loads(stream.readline())["texts"]
        return list(texts) if files_unchanged(texts) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _second_level(removal: Removal, root: Path) -> Iterator[tuple[str, str]]:
    """Find the folders in those below a root: a DAG's, and a run's in it."""
    above: list[str] = []
    with removal.one(str(root)), trees.open_folder(root) as folder:
        above = trees.list_folders(folder)
    for name in above:
        below: list[str] = []
        with removal.one(str(root / name)), trees.open_folder(root, name) as folder:
            below = trees.list_folders(folder)
        yield from ((name, each) for each in below)


def _remove_empty(removal: Removal, root: Path, seconds: float) -> None:
    """Remove folders below a root that are empty for a time; they are not counted."""
    if removal.dry_run:
        return
    with removal.one(str(root)), trees.open_folder(root) as folder:
        for name in trees.list_folders(folder):
            with suppress(OSError):  # not empty
                # One that a run is about to use has just been made.
                if time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime >= seconds:
                    os.rmdir(name, dir_fd=folder)


@contextmanager
def _held_alone(folder: int) -> Iterator[bool]:
    """Hold the folder of a run, which is open, while no task works in it; tell whether that is so."""
    try:
        number = os.open(LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:  # no task has begun in it
        yield True
        return
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(number)
