"""Where a run keeps what: the folder with its state and intermediate data, and the files in it.

=================  =====================================================
``job.json``       the inputs as plain JSON, with the run's folders
``inputs.json``    its inputs as cwltool takes them
``overrides.json`` what the job says under ``cwltool:overrides``
``steps/``         outputs and status of each step
``jobs/``          the same of the jobs of scattered steps
``used/``          what the jobs of each step took
``outputs/``       the files of both
``fetched/``       inputs that came over HTTP
``scratch/``       what a task needs while it runs
``containers/``    identifiers of the containers that it runs, by host
``tries/``         the last try of each task
``failed``         there is one if a task failed
``lock``           held while a task runs
=================  =====================================================
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..gate.places import LOCK, RUNS, is_within


@dataclass(frozen=True)
class RunLayout:
    """The folder of a run, and what is where in it. Between tasks there is only this."""

    folder: Path

    @property
    def job(self) -> Path:
        """The inputs as plain JSON, with the run's folders."""
        return self.folder / JOB

    @property
    def inputs(self) -> Path:
        """The inputs as cwltool takes them."""
        return self.folder / "inputs.json"

    @property
    def overrides(self) -> Path:
        """What the job says under ``cwltool:overrides``; it may be missing."""
        return self.folder / "overrides.json"

    @property
    def steps(self) -> Path:
        """The folder with the outputs and the status of each step."""
        return self.folder / "steps"

    def step(self, task: str) -> Path:
        """Return the file with the outputs and the status of the step of a task."""
        return self.steps / f"{task}.json"

    def jobs(self, task: str) -> Path:
        """Return the folder with the outputs of the jobs of a scattered step, a file for each share."""
        return self.folder / "jobs" / task

    def used(self, task: str) -> Path:
        """Return the folder that says what the jobs of a step took, with a file for each task that ran some."""
        return self.folder / "used" / task

    def outputs(self, place: str) -> Path:
        """Return the folder with the files that a part of the run made, see `step_place` and `jobs_place`."""
        return self.folder / "outputs" / place

    def scratch(self, place: str) -> Path:
        """Return the folder for what a part of the run needs while it runs."""
        return self.folder / "scratch" / place

    @property
    def all_containers(self) -> Path:
        """The folder with notes of containers, in one folder for each host."""
        return self.folder / "containers"

    def containers(self, place: str) -> Path:
        """Return the folder with the identifiers of the containers that a part of the run has on this host."""
        return self.all_containers / socket.gethostname() / place

    def last_try(self, task: str, index: int) -> Path:
        """Return the file that notes the last try of a task.

        :param index: of a task that is one of several; less than 0 if it is the only one.
        """
        return self.folder / "tries" / (f"{task}.json" if index < 0 else f"{task}/{index}.json")

    @property
    def lock(self) -> Path:
        """The file that is locked while a task runs."""
        return self.folder / LOCK

    @property
    def begin_lock(self) -> Path:
        """The file that is locked while the first task that needs it begins the run."""
        return self.folder / "begin.lock"

    def begun(self, report: str) -> Path:
        """Return the file that is there when the run was begun with the report of a user's own dispatcher."""
        return self.folder / f"begun-{hashlib.sha256(report.encode()).hexdigest()}"

    @property
    def failed(self) -> Path:
        """The file that is there when a task failed."""
        return self.folder / FAILED

    def mark_failed(self) -> None:
        """Note that a task failed, so that the folder is removed some time later."""
        if self.folder.is_dir():
            self.failed.touch()


#: Marks the folder of a run with a failed task.
FAILED = "failed"
#: What the dispatcher returns the path of.
JOB = "job.json"


# A place begins with its kind: a step may be called like another one's jobs.
def step_place(task: str) -> str:
    """Return where the step of a task works, below ``outputs``, ``scratch`` and ``containers``."""
    return f"step-{task}"


def jobs_place(task: str, share: int | None = None) -> str:
    """Return where the jobs of a scattered step work, or a share of them.

    :param share: number of its first job.
    """
    return f"jobs-{task}" if share is None else f"jobs-{task}/{share}"


def run_folders(tmp: Path, outputs: Path, dag_id: str, run_id: str, given: Mapping[str, str]) -> tuple[Path, Path]:
    """Return the folders of a run: of its intermediate data and of its outputs.

    :param tmp: where the intermediate data of all runs is.
    :param outputs: where the outputs of all runs are.
    :param given: what the job names as ``tmp_folder`` and ``outputs_folder``, absolute or relative to these; a
        ``tmp_folder`` in `tmp` makes no difference.
    """
    named = tmp / given.get("tmp_folder", "")
    # In a folder for them alone, so that none is in another's. In the site's own folder each has its place.
    base = tmp if is_within(os.path.realpath(named), [os.path.realpath(tmp)]) else named / RUNS
    return (
        base / dag_id / own_name(run_id),
        outputs / (given.get("outputs_folder") or Path(dag_id, folder_name(run_id))),
    )


def is_intermediate(folder: Path, tmp: Path) -> bool:
    """Tell whether a folder has intermediate data of some run, wherever its job put that.

    :param tmp: where the intermediate data of all runs is.
    """
    return folder.is_relative_to(tmp) or RUNS in folder.parts


def folder_name(run_id: str) -> str:
    """Return what the folder of a run's outputs is called; another run's may be called the same."""
    name = re.sub(r"[:+/]", "_", run_id)
    return name.replace(".", "_") if set(name) <= {"."} else name


def own_name(run_id: str) -> str:
    """Return what the folder of a run's intermediate data is called: always one of this run alone, as it is removed."""
    name = folder_name(run_id)
    return name if name == run_id else f"{name}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
