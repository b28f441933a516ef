"""The outputs of a run, as the file in their folder reports them, and nothing beside them."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from ..documents.plan import OUTPUTS_REPORT, STATISTICS
from ..gate import Gate, Refused
from ..gate.objects import FILES, find_files, local_path
from ..gate.places import is_within, open_folder, open_regular
from .content import show_as

#: Bytes of a report that are read, and of a value that are shown.
LARGEST_REPORT, LONGEST_VALUE = 64 * 2**20, 2000
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

    def __init__(self, report: str, gate: Gate, run_id: str) -> None:
        """Read what a run reported.

        :param report: path of the file.
        :param gate: of a run of the DAG: what it could not write or read is not its output.
        :raises Refused: the file is not where a run of the DAG has its outputs, or is another run's.
        :raises OSError: it is gone.
        :raises ValueError: it is not what a run writes.
        """
        if os.path.basename(report) != OUTPUTS_REPORT:
            raise Refused(f"{report} is no report of outputs.")
        self._folder = gate.write(os.path.dirname(report), "The folder of the outputs")
        with open_regular(f"{self._folder}/{OUTPUTS_REPORT}", "The report of the outputs") as stream:
            content = json.loads(stream.read(LARGEST_REPORT))
        if not isinstance(content, dict):
            raise ValueError(f"{report} is no report of outputs")
        found = content.pop(STATISTICS, {})
        self._statistics: dict[str, Any] = found if isinstance(found, dict) else {}
        run = {"dag_id": gate.dag_id, "run_id": run_id}
        if self._statistics.get("run", run) != run:
            raise Refused(f"Another run has written its outputs over these in {self._folder}.")
        self._gate = gate
        self._values: dict[str, Any] = content

    @property
    def folder(self) -> str:
        """Where they are."""
        return self._folder

    @property
    def steps(self) -> Mapping[str, Any]:
        """What each step took, by its task."""
        found = self._statistics.get("steps")
        return {name: each for name, each in found.items() if isinstance(each, dict)} if isinstance(found, dict) else {}

    def describe(self) -> list[dict[str, Any]]:
        """Return for each output its name, its files, and its value if it has none."""
        return [self._describe(name, value) for name, value in self._values.items()]

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
            if path := self._below(value):
                about = {key: value[key] for key in ("size", "checksum", "format") if key in value}
                yield Entry(os.path.basename(path), path, value["class"] == "Directory", **about)
            yield from self._entries(value.get("secondaryFiles", []))
        elif isinstance(value, dict):
            for each in value.values():
                yield from self._entries(each)

    def _below(self, value: Mapping[str, Any]) -> str:
        path = local_path(value)
        real = os.path.normpath(path) if path else ""
        return real[len(self._folder) + 1 :] if real.startswith(f"{self._folder}/") else ""

    def find(self, path: str) -> str:
        """Return the real path of an output, or of what is in one that is a folder.

        :param path: below the folder of the outputs.
        :raises FileNotFoundError: it is none, or is gone.
        """
        real = os.path.realpath(f"{self._folder}/{path}") if "\0" not in path else ""
        # By the name that was asked for: links are never followed.
        if real == f"{self._folder}/{path}" and is_within(real, self._reported) and os.path.lexists(real):
            return self._gate.read(real, "The output")
        raise FileNotFoundError(f"There is no output {path!r}.")

    @property
    def _reported(self) -> list[str]:
        return [f"{self._folder}/{path}" for value in find_files(self._values) if (path := self._below(value))]

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
