"""Find and end the processes of a run on this host."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass

import psutil

from .stoppable_run import StoppableRun

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunProcesses:
    """The processes of a run on this host."""

    #: Those of Airflow that run its tasks.
    tasks: set[psutil.Process]
    #: What these started or left.
    others: set[psutil.Process]

    def find_leaders(self) -> list[psutil.Process]:
        """Return the tasks' processes that no other one looks after."""
        return self._without_ancestor(self.tasks)

    def find_orphans(self) -> list[psutil.Process]:
        """Return what is left of tasks that are gone."""
        return self._without_ancestor(self.others)

    def _without_ancestor(self, processes: set[psutil.Process]) -> list[psutil.Process]:
        # In this order: one that ends while its ancestors are read has none either.
        return [
            process for process in processes if self.tasks.isdisjoint(find_ancestors(process)) and is_alive(process)
        ]

    def describe(self, host: str) -> list[str]:
        """Name each of them.

        :param host: the name of this host.
        """
        processes = sorted(self.tasks | self.others, key=lambda process: process.pid)
        return [f"process {process.pid} ({read_title(process)[:80]}) on {host}" for process in processes]


def find_ancestors(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes above a process."""
    with contextlib.suppress(psutil.Error):
        return list(process.parents())
    return []


def read_title(process: psutil.Process) -> str:
    """Return the title that a process shows."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def is_task(process: psutil.Process, run: StoppableRun) -> bool:
    """Tell whether a process runs a task of a run.

    A supervisor does not: it is one of Celery's processes, which goes on to other tasks, and has the title of its last
    one until it gets another. What it forks to run the task has its title too, at first.
    """
    title = read_title(process)
    if run.is_supervisor(title):
        with contextlib.suppress(psutil.Error):
            parent = process.parent()
            return parent is not None and read_title(parent) == title
    return run.is_runner(title)


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process can still do something."""
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    return False


def find_processes(run: StoppableRun, known: set[psutil.Process]) -> RunProcesses:
    """Return the processes of a run.

    :param known: those that were found before, to which the new ones are added: one whose parent is gone may show
        no more whose it is.
    """
    me = psutil.Process()
    spared = {me, *me.parents()}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process in spared or process.uids().real != os.getuid():
                continue
            if is_task(process, run) or run.is_used_by(process):
                known.update({process, *process.children(recursive=True)} - spared)
    there = {process for process in known if is_alive(process)}
    tasks = {process for process in there if is_task(process, run)}
    return RunProcesses(tasks, there - tasks)


def end_processes(processes: RunProcesses, asked: set[psutil.Process], is_late: bool) -> None:
    """Ask tasks to end, as Airflow does, and kill what no task looks after.

    :param asked: those that were asked before, to which the new ones are added.
    :param is_late: kill the tasks as well.
    """
    doomed = processes.find_orphans()
    if is_late:
        # Stopped, they start nothing, and adopt what their tools leave, so that nothing gets away.
        for process in processes.tasks:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        doomed = list(processes.others or processes.tasks)
    for process in doomed:
        log.info("Killing process %s", process.pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for process in processes.find_leaders() if not is_late else ():
        if process not in asked:
            log.info("Asking process %s to end", process.pid)
            asked.add(process)
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
