"""What the steps of a run took that has not ended, or has failed: from the data that it has between its steps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..dags.reported import Parsed, find_data
from ..gate import Refused
from ..gate.places import open_folder, open_regular
from ..runs.layout import RunLayout
from ..runs.usage import merge_usage, read_usage

#: Bytes that are read of what the jobs of a task took, and of what a step gave.
LARGEST_USAGE, LARGEST_STEP = 64 * 2**20, 4 * 2**20
#: What is kept of a file is small.
_kept = Parsed(5000, 2**40)


class StepUsage:
    """What the steps of a run took. Links are not followed: tasks may have made some."""

    def __init__(self, dag_id: str, run_id: str) -> None:
        """Find the data of a run.

        :raises FileNotFoundError: says why it is not there.
        """
        self._folder = find_data(dag_id, run_id)

    def of(self, task: str) -> dict[str, Any]:
        """Return what the jobs of a step took that have ended, as `merge_usage` does, with disk and time of all.

        :param task: the one that has the step's name.
        """
        whole = self._read(str(self._layout.step(task)), LARGEST_STEP, _disk_and_time)
        return {**merge_usage(self._tasks(task)), **whole}

    def of_share(self, task: str, first: int) -> dict[str, Any]:
        """Return the same of a share of a step's jobs.

        :param first: number of its first job.
        """
        return self._read(f"{self._layout.used(task)}/{first}.json", LARGEST_USAGE, read_usage)

    @property
    def _layout(self) -> RunLayout:
        return RunLayout(Path(self._folder))

    def _tasks(self, task: str) -> Iterator[dict[str, Any]]:
        folder = str(self._layout.used(task))
        names: list[str] = []
        with suppress(OSError, Refused):  # no job has ended
            number = open_folder(folder, f"What {task} took")
            try:
                names = sorted(name for name in os.listdir(number) if name.endswith(".json"))
            finally:
                os.close(number)
        for name in names:
            yield self._read(f"{folder}/{name}", LARGEST_USAGE, read_usage)

    def _read(self, path: str, most: int, parse: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
        # A task may be about to write it, or anything.
        with suppress(OSError, ValueError, RecursionError, Refused), open_regular(path, path) as stream:
            found: dict[str, Any] = _kept.read(stream, most, parse)
            return found
        return {}


def _disk_and_time(text: bytes) -> dict[str, Any]:
    step = json.loads(text)
    return {name: step[name] for name in ("disk", "seconds") if name in step} if isinstance(step, dict) else {}
