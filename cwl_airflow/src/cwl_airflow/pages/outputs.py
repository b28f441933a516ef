"""The outputs of a run, as it has reported them, and nothing beside them."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import IO, Any

from ..dags.reported import Report
from ..gate import Gate, Refused
from ..gate.objects import FILES
from ..gate.places import open_folder, open_regular
from .content import show_as

#: Bytes of a value that are shown.
LONGEST_VALUE = 2000
#: Entries that are shown of an output, or of a folder.
MOST_ENTRIES = 500


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

    def describe(self) -> list[dict[str, Any]]:
        """Return for each output its name, its files, and its value if it has none."""
        return [self._describe(name, value) for name, value in self._report.values.items()]

    def _describe(self, name: str, value: Any) -> dict[str, Any]:
        entries = list(self._entries(value))
        shown = {"name": name, "files": [each.to_json() for each in entries[:MOST_ENTRIES]], "number": len(entries)}
        return shown if entries else {**shown, "value": json.dumps(value, ensure_ascii=False)[:LONGEST_VALUE]}

    def _entries(self, value: Any) -> Iterator[Entry]:
        """Find the files and folders of an output; what a folder lists is in it."""
        if isinstance(value, list):
            for each in value:
                yield from self._entries(each)
        elif isinstance(value, dict) and value.get("class") in FILES:
            if path := self._report.below(value):
                about = {key: value[key] for key in ("size", "checksum", "format") if key in value}
                yield Entry(os.path.basename(path), path, value["class"] == "Directory", **about)
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

    def walk(self, path: str) -> Iterator[tuple[str, IO[bytes]]]:
        """Open one after the other all files in a folder that is an output, with their paths in it; closes each."""
        top = self.find(path)
        for folder, folders, files in os.walk(top):
            folders.sort()
            for name in sorted(files):
                real = f"{folder}/{name}"
                if stat.S_ISREG(os.lstat(real).st_mode) and self._may_be_read(real[len(self._folder) + 1 :]):
                    with open_regular(real, f"Output {name!r}") as stream:
                        yield str(Path(real).relative_to(top)), stream
