"""A run as a host knows it: its folders, the containers that its tasks noted, and which processes are its."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..gate import Places, Refused
from ..runs.job_input import folders_named_by_job
from ..runs.layout import RunLayout, run_folders
from .model import JobFolders, RunReference

#: Titles that Airflow gives the processes of its tasks, each with the id of the task instance.
SUPERVISOR_TITLE, RUNNER_TITLE = "airflow supervisor: ", "airflow worker -- "


@dataclass(frozen=True)
class StoppableRun:
    """A run, with the folders of its intermediate data."""

    dag_id: str
    run_id: str
    folders: tuple[Path, ...]
    #: Ids of its task instances, one for each try.
    task_instances: frozenset[str]

    @classmethod
    def locate(cls, run: RunReference, places: Places) -> StoppableRun:
        """Find the folders of a run, of those that it may write: they are removed.

        :param places: the site's.
        """
        given = read_named_folders(run.job, places, run.dag_id)
        found = [run_folders(places.tmp, Path(), run.dag_id, run.run_id, given)[0]]
        for report in run.reports:
            if not any(folder in Path(report).parents for folder in found):
                with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError, Refused):
                    folder = read_reported_folder(Path(report), places, run.dag_id)
                    # Only what a task of the engine worked in.
                    if RunLayout(folder).lock.is_file():
                        found.append(folder)
        folders = tuple(Path(os.path.realpath(folder)) for folder in found)
        return cls(run.dag_id, run.run_id, folders, frozenset(run.task_instances))

    def is_runner(self, title: str) -> bool:
        """Tell whether the title of a process says that it runs a task of this run."""
        return self._names_task(title, RUNNER_TITLE)

    def is_supervisor(self, title: str) -> bool:
        """Tell whether the title of a process says that it supervises a task of this run, or did so last."""
        return self._names_task(title, SUPERVISOR_TITLE)

    def _names_task(self, title: str, prefix: str) -> bool:
        return title.startswith(prefix) and title.removeprefix(prefix).strip() in self.task_instances

    def contains(self, path: str) -> bool:
        """Tell whether a path is in one of the run's folders."""
        return any(path == str(folder) or path.startswith(f"{folder}/") for folder in self.folders)

    def is_used_by(self, process: psutil.Process) -> bool:
        """Tell whether a process works in the run's folders, as the tools of its steps do."""
        looks: tuple[Callable[[], Iterable[str]], ...] = (
            lambda: [process.cwd()],
            lambda: [value for name, value in process.environ().items() if name in ("HOME", "TMPDIR")],
            lambda: [file.path for file in process.open_files()],
        )
        for look in looks:
            with contextlib.suppress(psutil.Error, OSError):
                if any(self.contains(path) for path in look()):
                    return True
        return False

    def noted_containers(self) -> dict[str, str]:
        """Return the containers that tasks noted, each with the name of its host."""
        hosts = {}
        for folder in self.folders:
            notes = RunLayout(folder).all_containers
            for place, _, files in os.walk(notes):  # others may remove theirs meanwhile
                for file in files if Path(place) != notes else ():
                    with contextlib.suppress(OSError, UnicodeDecodeError):
                        container = Path(place, file).read_text(encoding="utf-8").strip()
                        hosts[container] = Path(place).relative_to(notes).parts[0]
        hosts.pop("", None)
        return hosts


def read_named_folders(job: JobFolders, places: Places, dag_id: str) -> Mapping[str, str]:
    """Return the folders that a job names and may write; none if it cannot be read."""
    gate = places.gate(dag_id)
    with contextlib.suppress(Exception):  # a job that cannot be read did not get as far as having a folder
        named = folders_named_by_job(job, str(places.inputs), gate)
        if named.get("tmp_folder"):
            gate.write(places.tmp / named["tmp_folder"], "'tmp_folder'", between_steps=True)
        return named
    return {}


def read_reported_folder(report: Path, places: Places, dag_id: str) -> Path:
    """Return the folder of intermediate data that a task's report names.

    :raises Refused: a run of the DAG may not write there.
    :raises OSError: the report cannot be read.
    :raises ValueError: the report is no JSON.
    :raises TypeError: the report is something else.
    :raises KeyError: the report names none.
    """
    folder = Path(json.loads(report.read_text(encoding="utf-8"))["tmp_folder"])
    places.gate(dag_id).write(folder, "'tmp_folder'", between_steps=True)
    return folder
