"""End what a run has on this host, or remove its data: a program that the worker starts, so that it waits for nothing.

It takes a request as JSON from its standard input, and prints a JSON list with what is still there: none if all is
gone.
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ..gate import Places, Refused
from ..gate.places import LOCK
from ..runs.job_input import folders_named_by_job
from ..runs.layout import RunLayout, run_folders

log = logging.getLogger(__name__)

#: What runs containers; on a host are those that its workflows use.
ENGINES = ("docker", "podman")
#: Titles that Airflow gives the processes of its tasks.
SUPERVISOR, RUNNER = "airflow task supervisor: ", "airflow task runner: "
#: Seconds between two looks.
PAUSE = 0.2
#: For how long an engine may take to answer, in seconds.
ENGINE_TIMEOUT = 30


@dataclass(frozen=True)
class Run:
    """A run, with the folders of its intermediate data."""

    dag_id: str
    run_id: str
    folders: tuple[Path, ...]

    @classmethod
    def of(cls, dag_id: str, run_id: str, places: Places, job: Any, reports: Iterable[str]) -> Run:
        """Find the folders of a run, of those that it may write: they are removed.

        :param places: the site's.
        :param job: the job or the path of its file, as far as it names folders.
        :param reports: what the run's tasks returned; a dispatcher's report names the folder.
        """
        gate = places.gate(dag_id)
        given: Mapping[str, str] = {}
        with contextlib.suppress(Exception):  # a job that cannot be read did not get as far as having a folder
            named = folders_named_by_job(job, str(places.inputs), gate)
            if named.get("tmp_folder"):
                gate.write(places.tmp / named["tmp_folder"], "'tmp_folder'", between_steps=True)
            given = named
        found = [run_folders(places.tmp, Path(), dag_id, run_id, given)[0]]
        for report in reports:
            if not any(folder in Path(report).parents for folder in found):
                with contextlib.suppress(OSError, ValueError, TypeError, KeyError, Refused):
                    folder = Path(json.loads(Path(report).read_text(encoding="utf-8"))["tmp_folder"])
                    # Only what a task of the engine worked in.
                    gate.write(folder, "'tmp_folder'", between_steps=True)
                    if (folder / LOCK).is_file():
                        found.append(folder)
        return cls(dag_id, run_id, tuple(Path(os.path.realpath(folder)) for folder in found))

    def names(self, title: str) -> bool:
        """Tell whether the title of a process says that it is a task of this run."""
        if title.startswith(RUNNER):
            words = rf"{re.escape(self.dag_id)} \S+ {re.escape(self.run_id)}( \d+)?\s*"
            return re.fullmatch(words, title.removeprefix(RUNNER)) is not None
        if title.startswith(SUPERVISOR):
            try:
                arguments = ast.literal_eval(title.removeprefix(SUPERVISOR).strip())
            except (SyntaxError, ValueError):
                return False
        else:
            arguments = title.split(" ")
        # As in: airflow tasks run DAG TASK RUN --local …
        at = arguments.index("tasks") if "tasks" in arguments else len(arguments)
        match arguments[at : at + 5]:
            case [_, "run", dag_id, _, run_id]:
                return (dag_id, run_id) == (self.dag_id, self.run_id)
        return False

    def holds(self, path: str) -> bool:
        """Tell whether a path is in one of the run's folders."""
        return any(path == str(folder) or path.startswith(f"{folder}/") for folder in self.folders)

    def uses(self, process: psutil.Process) -> bool:
        """Tell whether a process works in the run's folders, as the tools of its steps do."""
        looks: tuple[Callable[[], Iterable[str]], ...] = (
            lambda: [process.cwd()],
            lambda: [value for name, value in process.environ().items() if name in ("HOME", "TMPDIR")],
            lambda: [file.path for file in process.open_files()],
        )
        for look in looks:
            with contextlib.suppress(psutil.Error, OSError):
                if any(self.holds(path) for path in look()):
                    return True
        return False

    def noted(self, host: str = "") -> set[str]:
        """Return the containers that tasks noted: those of a host, by default those of which no host is noted."""
        return {container for container, of in self._notes().items() if of == host}

    def hosts(self) -> list[str]:
        """Return the names of the hosts of which there are notes."""
        return sorted({*self._notes().values()} - {""})

    def _notes(self) -> dict[str, str]:
        found = {}
        for folder in self.folders:
            for place, _, files in os.walk(RunLayout(folder).all_containers):  # others may remove theirs meanwhile
                # HOST/PLACE; earlier versions noted no host. A place is one name, or one and a number below it.
                name, *below = Path(place).relative_to(folder).parts[1:] or ("",)
                host = name if below and not below[0].isdecimal() else ""
                for file in files:
                    with contextlib.suppress(OSError):
                        found[Path(place, file).read_text(encoding="utf-8").strip()] = host
        found.pop("", None)
        return found


@dataclass(frozen=True)
class Found:
    """The processes of a run on this host."""

    #: Those of Airflow, two for each task: one runs it, the other waits for it.
    tasks: set[psutil.Process]
    #: What these started or left.
    others: set[psutil.Process]

    def leaders(self) -> list[psutil.Process]:
        """Return the tasks' processes that no other one looks after."""
        return [process for process in self.tasks if self.tasks.isdisjoint(ancestors(process))]

    def orphans(self) -> list[psutil.Process]:
        """Return what is left of tasks that are gone."""
        return [process for process in self.others if self.tasks.isdisjoint(ancestors(process))]


def ancestors(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes above a process."""
    with contextlib.suppress(psutil.Error):
        return list(process.parents())
    return []


def title_of(process: psutil.Process) -> str:
    """Return the title that a process shows."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def alive(process: psutil.Process) -> bool:
    """Tell whether a process can still do something."""
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    return False


def find_processes(run: Run, known: set[psutil.Process]) -> Found:
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
            if run.names(title_of(process)) or run.uses(process):
                known.update({process, *process.children(recursive=True)} - spared)
    there = {process for process in known if alive(process)}
    tasks = {process for process in there if run.names(title_of(process))}
    return Found(tasks, there - tasks)


class Containers:
    """The containers of a run on this host."""

    def __init__(self, run: Run, host: str) -> None:
        """Note whose."""
        self._run = run
        self._host = host

    def find(self) -> tuple[dict[str, str], list[str]]:
        """Return the containers with the engine of each, and what an engine said that could not tell.

        A step's container has a folder of the run, also if its client was killed before it noted it.
        """
        notes = self._run.noted(self._host) | self._run.noted()
        found, errors = {}, []
        for engine in filter(shutil.which, ENGINES):
            try:
                ids = self._ask(engine, "ps", "--all", "--quiet", "--no-trunc").split()
                form = "{{.Id}}{{range .Mounts}}\t{{.Source}}{{end}}"
                for line in self._ask(engine, "inspect", "--format", form, *ids).splitlines() if ids else ():
                    container, *sources = line.split("\t")
                    if container in notes or any(self._run.holds(source) for source in sources):
                        found[container] = engine
            except (OSError, subprocess.SubprocessError, RuntimeError) as error:
                errors.append(f"{engine} on {self._host} does not say which containers run: {error}")
        # An engine that is installed and not used need not answer.
        return found, errors if notes else []

    def remove(self) -> list[str]:
        """Remove them, and the notes of those that are gone.

        :returns: what is still there.
        """
        found, errors = self.find()
        for container, engine in found.items():
            log.info("Removing container %s", container)
            with contextlib.suppress(OSError, subprocess.SubprocessError, RuntimeError):
                self._ask(engine, "rm", "--force", container)
        if found:
            found, errors = self.find()
        if not found and not errors:
            for folder in self._run.folders:
                shutil.rmtree(RunLayout(folder).all_containers / self._host, ignore_errors=True)
        return [f"container {container[:12]} on {self._host}" for container in found] + errors

    def _ask(self, engine: str, *arguments: str) -> str:
        command = [engine, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=ENGINE_TIMEOUT)
        said = done.stderr.strip()
        # One that has ended between two questions.
        if done.returncode != 0 and not re.search("no (such )?(container|object)", said, re.IGNORECASE):
            raise RuntimeError(said or f"exit status {done.returncode}")
        return done.stdout


def end(run: Run, host: str, grace: float, limit: float) -> list[str]:
    """End the processes and containers of a run on this host.

    :param host: its name.
    :param grace: for how long its tasks may end themselves, in seconds.
    :param limit: after how many seconds to give up.
    :returns: what is still there.
    """
    began = time.monotonic()
    known: set[psutil.Process] = set()
    asked: set[psutil.Process] = set()
    containers = Containers(run, host)
    for folder in run.folders:
        RunLayout(folder).mark_failed()
    while True:
        found = find_processes(run, known)
        processes = sorted(found.tasks | found.others, key=lambda process: process.pid)
        left = [f"process {process.pid} ({title_of(process)[:80]}) on {host}" for process in processes]
        late = time.monotonic() - began >= grace
        if late or not left:
            left += containers.remove()
        if not left or time.monotonic() - began >= limit:
            return left
        end_processes(found, asked, late)
        time.sleep(PAUSE)


def end_processes(found: Found, asked: set[psutil.Process], late: bool) -> None:
    """Ask tasks to end, as Airflow does, and kill what no task looks after.

    :param asked: those that were asked before.
    :param late: kill the tasks as well.
    """
    doomed = found.orphans()
    with contextlib.suppress(psutil.NoSuchProcess):  # the next look finds the others
        if late:
            # Stopped, they start nothing, and adopt what their tools leave, so that nothing gets away.
            for process in found.tasks:
                process.suspend()
            doomed = list(found.others or found.tasks)
        for process in doomed:
            log.info("Killing process %s", process.pid)
            process.kill()
        for process in found.leaders() if not late else ():
            if process not in asked:
                log.info("Asking process %s to end", process.pid)
                asked.add(process)
                process.terminate()


def remove(run: Run, gone: Collection[str] = ()) -> list[str]:
    """Remove the data of a run whose processes and containers are gone, on each host that had some.

    :param gone: names of hosts that run nothing any more.
    :returns: what stands in the way.
    """
    left = [
        f"container {container[:12]} on {host}, whose worker does not answer"
        for host in run.hosts()
        if host not in gone
        for container in sorted(run.noted(host))
    ]
    for folder in run.folders if not left else ():
        try:
            if (folder / LOCK).exists():
                with (folder / LOCK).open("w") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
        except BlockingIOError:
            left.append(f"a task that works in {folder}")
        except OSError as error:
            if folder.exists():
                left.append(f"data in {folder}: {error}")
    return left


def main() -> int:
    """Do what the request says."""
    logging.basicConfig(level=logging.INFO, format="stop: %(message)s")
    request = json.load(sys.stdin)
    run = Run.of(**{**request["run"], "places": Places.from_json(request["run"]["places"])})
    gone = request.get("gone", ())
    left = end(run, socket.gethostname(), **request["end"]) if "end" in request else remove(run, gone)
    json.dump(left, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
