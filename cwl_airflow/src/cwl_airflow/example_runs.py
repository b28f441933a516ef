"""Run the example workflows of a site through Airflow's REST API, all at once, and show how they come along.

An example is a folder below that of the DAG files, named like its DAG, with a job and what it must give
(see files/workflows/README.md of the project).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .configuration import read_option
from .rest import ACTIVE_RUN_STATES, AirflowClient, DeadlineExceeded, RestError

#: In the folder of an example: its job, and what it must give.
JOB, EXPECTED = "job.yml", "expected/outputs.json"
#: Seconds between two looks at a run. A machine that is slow has other things to do.
PAUSE = 2
#: Between two tracebacks, of which the second one counts.
CHAINED = ("The above exception was the direct cause", "During handling of the above exception")
#: How much of a failed task's log is shown, in lines and in characters of a line.
SHOWN_LINES, SHOWN_CHARACTERS = 8, 700
#: Of so many lines of the log, as frames of tracebacks are not shown.
READ_LINES = 200


class ExampleFailed(Exception):
    """An example did not run; the message says why, in ten lines at most."""


def dags_folder() -> Path:
    """Return the folder of the DAG files."""
    return Path(read_option("core", "dags_folder"))


def find_examples() -> list[str]:
    """Return the names of the examples that this host has."""
    jobs = dags_folder().glob(f"*/{JOB}")
    return sorted(job.parent.name for job in jobs if (job.parent / EXPECTED).is_file())


@dataclass
class ExampleRuns:
    """Runs of examples, one of each, all under one name."""

    client: AirflowClient
    run_id: str
    #: Takes a line whenever something has changed.
    show: Callable[[str], None]
    #: Of the runs that have ended: how, and how many seconds after the first one was started.
    states: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    _shown: dict[str, str] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def run(self, names: Collection[str], timeout: float) -> None:
        """Start the examples and wait until all have succeeded.

        :param timeout: for how long to wait, in seconds.
        :raises ExampleFailed: one failed, or they are not done in time; the others go on.
        :raises RestError: Airflow does not say how they come along.
        """
        deadline = self._began + timeout
        for name in names:
            self._start(name, deadline)
        while not self._have_ended(names):
            if time.monotonic() > deadline:
                raise ExampleFailed(f"Not done in time: {'; '.join(self._unfinished(names))}.")
            time.sleep(PAUSE)

    def _start(self, name: str, deadline: float) -> None:
        folder = dags_folder() / name
        try:
            # The DAG processor has not read a DAG file that is new.
            self.client.wait_for_dag(name, name, deadline)
            # Relative paths in the job's file start in its folder.
            self.client.trigger(name, self.run_id, {"job": str(folder / JOB)})
        except (RestError, DeadlineExceeded) as error:
            raise ExampleFailed(f"{name} could not be triggered:\n{last_lines(str(error).splitlines())}") from error

    def _have_ended(self, names: Collection[str]) -> bool:
        """Look at each run that goes on, and tell whether all have ended."""
        for name in [name for name in names if name not in self.states]:
            self._look(name)
        return len(self.states) == len(names)

    def _look(self, name: str) -> None:
        tasks = self.client.get_tasks(name, self.run_id)
        state = self.client.get_run_state(name, self.run_id)
        seconds = time.monotonic() - self._began
        line = f"{name}: {progress(state, tasks)}"
        if self._shown.get(name) != line:
            self._shown[name] = line
            self.show(f"  {seconds:5.1f} s  {line}")
        if state in ACTIVE_RUN_STATES:
            return
        self.states[name], self.seconds[name] = state, round(seconds, 1)
        if state != "success":
            raise ExampleFailed(self._describe_failure(name))

    def _unfinished(self, names: Collection[str]) -> list[str]:
        return [self._shown[name] for name in names if name not in self.states]

    def _describe_failure(self, name: str) -> str:
        """Say which tasks of a run failed, and what the first one of them wrote last."""
        failed = self.client.get_failed_tasks(name, self.run_id)
        if not failed:
            return f"{name} failed (run {self.run_id}), but none of its tasks."
        ids = list(dict.fromkeys(str(task["task_id"]) for task in failed))
        others = f" (and {', '.join(ids[1:])})" if ids[1:] else ""
        log = self.client.read_log_end(name, self.run_id, failed[0], READ_LINES)
        return f"{name} failed (run {self.run_id}). Task {ids[0]}{others}:\n{last_lines(log)}"


def progress(state: str, tasks: Collection[Mapping[str, Any]]) -> str:
    """Say how far a run is.

    :param tasks: as the API describes them.
    """
    done = sum(task["state"] in ("success", "skipped") for task in tasks)
    running = ", ".join(str(task["task_id"]) for task in tasks if task["state"] == "running")
    return f"{state}, {done} of {len(tasks)} tasks done{', running ' + running if running else ''}"


def last_lines(lines: Sequence[str]) -> str:
    """Return the last lines of a text that say something, none of them very long."""
    return "\n".join(line[:SHOWN_CHARACTERS] for line in without_frames(lines)[-SHOWN_LINES:])


def without_frames(lines: Sequence[str]) -> list[str]:
    """Leave of each traceback only the last error: what it came from is in it, and nobody here reads frames."""
    kept: list[str] = []
    inside, before = False, 0
    for line in lines:
        if line.startswith("Traceback ("):
            inside, before = True, len(kept)
        elif line.startswith(CHAINED):
            del kept[before:]
        elif line.strip() and not (inside and line.startswith(" ")):
            inside = False
            kept.append(line)
    return kept
