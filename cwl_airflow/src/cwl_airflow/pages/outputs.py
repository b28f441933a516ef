"""The outputs of a run, as it has reported them, and nothing beside them."""

from __future__ import annotations

import itertools
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import IO, Any

from ..dags.reported import Report
from ..gate import Gate, Refused
from ..gate.objects import FILES
from ..gate.places import open_folder, open_regular
from .content import show_as

#: Bytes of a value that are shown.
LONGEST_VALUE = 2000
#: Entries that are shown of an output, or of a folder; and that are looked at for what cannot be given.
MOST_ENTRIES, MOST_WALKED = 500, 20_000


@dataclass(frozen=True)
class Entry:
    """A file or a folder that is an output, or in one."""

    name: str
    #: Below the folder of the outputs.
    path: str
    folder: bool
    #: In bytes; none of a folder.
    size: int | None = None
    checksum: str = ""
    format: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as the page gets it, with how it is shown."""
        return {**asdict(self), "show": show_as(self.name)}


@dataclass(frozen=True)
class LeftOut:
    """What is in a folder and cannot be given, and why."""

    path: str
    why: str


class RunOutputs:
    """The outputs of a run that are there."""

    def __init__(self, report: Report, gate: Gate) -> None:
        """Take what a run reported.

        :param gate: of a run of the DAG: what it could not read is not shown.
        """
        self._report, self._gate = report, gate
        self._folder = report.folder

    @property
    def folder(self) -> str:
        """Where they are."""
        return self._folder

    @property
    def steps(self) -> Mapping[str, Any]:
        """What each step took, by its task."""
        found = self._report.statistics.get("steps")
        return {name: each for name, each in found.items() if isinstance(each, dict)} if isinstance(found, dict) else {}

    @property
    def why_no_crate(self) -> str:
        """Why there can be no RO-Crate of the run; nothing if there can."""
        if not isinstance(self._report.statistics.get("document"), dict):
            return "There is no RO-Crate of this run: it is of before there were some, or its document is too large."
        if not isinstance(self._report.statistics.get("job"), dict):
            return "There is no RO-Crate of this run: its job is too large."
        return ""

    def describe(self) -> list[dict[str, Any]]:
        """Return for each output its name, its files, and its value if it has none."""
        return [self._describe(name, value) for name, value in self._report.values.items()]

    def _describe(self, name: str, value: Any) -> dict[str, Any]:
        entries = self._entries(value)
        first = [_entry(path, each).to_json() for path, each in itertools.islice(entries, MOST_ENTRIES)]
        shown = {"name": name, "files": first, "number": len(first) + sum(1 for _ in entries)}
        return shown if first else {**shown, "value": json.dumps(value, ensure_ascii=False)[:LONGEST_VALUE]}

    def _entries(self, value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Find the files and folders of an output, with their paths; what a folder lists is in it."""
        if isinstance(value, list):
            for each in value:
                yield from self._entries(each)
        elif isinstance(value, dict) and value.get("class") in FILES:
            if path := self._report.below(value):
                yield path, value
            yield from self._entries(value.get("secondaryFiles", []))
        elif isinstance(value, dict):
            for each in value.values():
                yield from self._entries(each)

    def find(self, path: str) -> str:
        """Return the real path of an output, or of what is in one that is a folder.

        :param path: below the folder of the outputs.
        :raises FileNotFoundError: it is none, or is gone.
        """
        real = os.path.realpath(f"{self._folder}/{path}") if "\0" not in path else ""
        # By the name that was asked for: links are never followed.
        if real == f"{self._folder}/{path}" and self._is_reported(path) and os.path.lexists(real):
            return self._gate.read(real, "The output")
        raise FileNotFoundError(f"There is no output {path!r}.")

    def _is_reported(self, path: str) -> bool:
        return any(str(each) in self._report.paths for each in (PurePath(path), *PurePath(path).parents))

    def open(self, path: str) -> IO[bytes]:
        """Open a file that is an output, or in one.

        :raises OSError: there is none.
        :raises Refused: it is no file, or was replaced while it was opened.
        """
        return open_regular(self.find(path), f"Output {path!r}")

    def list_folder(self, path: str) -> list[Entry]:
        """Return what is in a folder that is an output, or in one.

        :raises OSError: there is none.
        """
        number = open_folder(self.find(path), f"Output {path!r}")
        try:
            found = [(name, os.stat(name, dir_fd=number, follow_symlinks=False)) for name in sorted(os.listdir(number))]
        finally:
            os.close(number)
        folders = [Entry(name, f"{path}/{name}", True) for name, of in found if stat.S_ISDIR(of.st_mode)]
        files = [Entry(name, f"{path}/{name}", False, of.st_size) for name, of in found if stat.S_ISREG(of.st_mode)]
        return [each for each in folders + files if self._may_be_read(each.path)]

    def _may_be_read(self, path: str) -> bool:
        """Tell whether what is in a folder may be read: somebody may have had files there before the run."""
        try:
            self._gate.read(f"{self._folder}/{path}", "The output")
        except Refused:
            return False
        return True

    def walk(self, path: str, left_out: list[LeftOut]) -> Iterator[tuple[str, IO[bytes]]]:
        """Open one after the other all files in a folder that is an output, with their paths in it; closes each.

        :param left_out: gets what is in it and cannot be given.
        """
        for name, real, why in self._tree(path):
            if not why:
                try:
                    stream = open_regular(real, f"Output {name!r}")
                except (OSError, Refused) as error:
                    why = _why(error)
                else:
                    with stream:
                        yield name, stream
            if why:
                left_out.append(LeftOut(name, why))

    def left_out(self, path: str) -> list[LeftOut]:
        """Return what is in a folder that is an output, or in one, and cannot be given, `MOST_ENTRIES` at most."""
        found = (
            LeftOut(name, why or "it may not be read")
            for name, real, why in itertools.islice(self._tree(path), MOST_WALKED)
            if why or not os.access(real, os.R_OK)
        )
        return list(itertools.islice(found, MOST_ENTRIES))

    def _tree(self, path: str) -> Iterator[tuple[str, str, str]]:
        """Find what is in a folder and in those in it: its path there, its real path, and why it cannot be given."""
        top = self.find(path)
        broken: list[OSError] = []
        for folder, folders, files in os.walk(top, onerror=broken.append):
            yield from _unreadable(broken, top)
            kinds = [(name, stat.S_ISDIR) for name in sorted(folders)] + [
                (name, stat.S_ISREG) for name in sorted(files)
            ]
            for name, is_one in kinds:
                real = f"{folder}/{name}"
                why = self._why_not(real, is_one)
                if why or is_one is stat.S_ISREG:
                    yield os.path.relpath(real, top), real, why
                if why and is_one is stat.S_ISDIR:
                    folders.remove(name)
            folders.sort()
        yield from _unreadable(broken, top)

    def _why_not(self, real: str, is_one: Callable[[int], bool]) -> str:
        """Say why something in a folder cannot be given; nothing if it can."""
        try:
            mode = os.lstat(real).st_mode
            if stat.S_ISLNK(mode):
                return "it is a link"
            if not is_one(mode):
                return "it is neither a file nor a folder"
            self._gate.read(real, "The output")
        except (OSError, Refused) as error:
            return _why(error)
        return ""


def _entry(path: str, value: Mapping[str, Any]) -> Entry:
    about = {key: value[key] for key in ("size", "checksum", "format") if key in value}
    return Entry(os.path.basename(path), path, value["class"] == "Directory", **about)


def _unreadable(broken: list[OSError], top: str) -> Iterator[tuple[str, str, str]]:
    while broken:
        error = broken.pop()
        yield os.path.relpath(error.filename, top), error.filename, _why(error)


def _why(error: Exception) -> str:
    return str((isinstance(error, OSError) and error.strerror) or error)
