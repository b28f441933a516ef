"""End what a run has on this host, or remove its data: a program that the worker starts, so that it waits for nothing.

It takes a request as JSON from its standard input, and prints a JSON list with what is still there: none if all is
gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import shutil
import socket
import sys
import time
from collections.abc import Collection

import psutil

from ..containers import ContainerEngine, ContainerEngineError
from ..gate import Places
from ..runs.layout import RunLayout
from .model import EndTimes, StopRequest
from .processes import end_processes, find_processes
from .stoppable_run import StoppableRun

log = logging.getLogger(__name__)

#: What runs containers; on a host are those that its workflows use.
ENGINES = ("docker", "podman")
#: Seconds between two looks.
PAUSE = 0.2
#: For how long an engine may take to answer, in seconds.
ENGINE_TIMEOUT = 30


class RunContainers:
    """The containers of a run on this host."""

    def __init__(self, run: StoppableRun, host: str) -> None:
        """Take the run, and the name of this host."""
        self._run = run
        self._host = host
        self._engines = [ContainerEngine(command, ENGINE_TIMEOUT) for command in filter(shutil.which, ENGINES)]

    def remove(self) -> list[str]:
        """Remove the containers, and the notes of those that are gone.

        :returns: what is still there.
        """
        found, errors = self._find()
        for container, engine in found.items():
            log.info("Removing container %s", container)
            with contextlib.suppress(ContainerEngineError):  # the next look tells
                engine.remove(container)
        if found:
            found, errors = self._find()
        if not found and not errors:
            for folder in self._run.folders:
                shutil.rmtree(RunLayout(folder).all_containers / self._host, ignore_errors=True)
        return [f"container {container[:12]} on {self._host}" for container in found] + errors

    def _find(self) -> tuple[dict[str, ContainerEngine], list[str]]:
        """Return the containers with the engine of each, and what an engine said that could not tell."""
        noted = {container for container, host in self._run.noted_containers().items() if host == self._host}
        found, errors = {}, []
        for engine in self._engines:
            try:
                for container, mounts in engine.inspect_mounts(engine.list_containers()).items():
                    # One has a folder of the run also if its client was killed before it noted it.
                    if container in noted or any(self._run.contains(mount) for mount in mounts):
                        found[container] = engine
            except ContainerEngineError as error:
                errors.append(f"{engine.command} on {self._host} does not say which containers run: {error}")
        # An engine that is installed and not used need not answer.
        return found, errors if noted else []


def end_run(run: StoppableRun, host: str, times: EndTimes) -> list[str]:
    """End the processes and containers of a run on this host.

    :param host: its name.
    :returns: what is still there.
    """
    began = time.monotonic()
    known: set[psutil.Process] = set()
    asked: set[psutil.Process] = set()
    containers = RunContainers(run, host)
    for folder in run.folders:
        RunLayout(folder).mark_failed()
    while True:
        processes = find_processes(run, known)
        remaining = processes.describe(host)
        is_late = time.monotonic() - began >= times.grace
        if is_late or not remaining:
            remaining += containers.remove()
        if not remaining or time.monotonic() - began >= times.limit:
            return remaining
        end_processes(processes, asked, is_late)
        time.sleep(PAUSE)


def remove_run_data(run: StoppableRun, gone_hosts: Collection[str] = ()) -> list[str]:
    """Remove the data of a run whose processes and containers are gone, on each host that had some.

    :param gone_hosts: names of hosts that run nothing any more.
    :returns: what stands in the way.
    """
    obstacles = [
        f"container {container[:12]} on {host}, whose worker does not answer"
        for container, host in sorted(run.noted_containers().items())
        if host not in gone_hosts
    ]
    for folder in run.folders if not obstacles else ():
        try:
            lock_file = RunLayout(folder).lock
            if lock_file.exists():
                with lock_file.open("w") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
        except BlockingIOError:
            obstacles.append(f"a task that works in {folder}")
        except OSError as error:
            if folder.exists():
                obstacles.append(f"data in {folder}: {error}")
    return obstacles


def main() -> int:
    """Do what the request says."""
    logging.basicConfig(level=logging.INFO, format="stop: %(message)s")
    content = json.load(sys.stdin)
    request = StopRequest.from_json(content["request"])
    run = StoppableRun.locate(request.run, Places.from_json(content["places"]))
    if request.end:
        remaining = end_run(run, socket.gethostname(), request.end)
    else:
        remaining = remove_run_data(run, request.gone_hosts)
    json.dump(remaining, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
