"""What the jobs of a step took: command, exit status, memory, container image; and how they failed."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import shlex
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from cwltool.docker import DockerCommandLineJob
from cwltool.job import ContainerCommandLineJob, JobBase

from ..containers import ContainerEngine, ContainerEngineError
from ..files import write_atomically

_logger = logging.getLogger("cwltool")

#: Characters of a command that are kept.
LONGEST_COMMAND = 2000
#: Lines that are kept of what a job that failed said last, and characters of each.
MOST_LINES, LONGEST_LINE = 20, 500
#: Where kernels say how much memory the container of an engine took at most, in bytes: with cgroups of version 2 and 1.
PEAKS = (
    "system.slice/{engine}-{container}.scope/memory.peak",
    "{engine}/{container}/memory.peak",
    "memory/system.slice/{engine}-{container}.scope/memory.max_usage_in_bytes",
    "memory/{engine}/{container}/memory.max_usage_in_bytes",
)
CGROUPS = Path("/sys/fs/cgroup")
#: For how long is waited between two looks, in seconds: at first, and at most.
FIRST_LOOK, LOOKS = 0.05, 1.0
#: For how long an engine may take to say what an image is, in seconds.
ENGINE_TIMEOUT = 5


@dataclass
class JobUsage:
    """What a job took."""

    command: str
    exit_code: int | None = None
    #: Bytes at most; none if it ended before anybody looked.
    memory: int | None = None
    image: str = ""
    #: By which the image can be pulled again; none if it came from no registry.
    digest: str = ""
    #: Why it failed, and what it said last; nothing if it did not.
    reason: str = ""
    lines: list[str] = field(default_factory=list)

    def note_failure(self, reason: str, lines: list[str]) -> None:
        """Note how the job failed.

        :param lines: what it said last.
        """
        self.reason, self.lines = reason, [line[:LONGEST_LINE] for line in lines[-MOST_LINES:]]

    def watch(self, job: JobBase) -> None:
        """Note what a job takes when it runs, in place of cwltool's own monitors, which sleep for a second first."""
        collect = job.collect_outputs

        def collect_outputs(outdir: str, exit_code: int) -> Any:
            self.exit_code = exit_code
            return collect(outdir, exit_code)

        job.collect_outputs = collect_outputs
        job.process_monitor = functools.partial(self._wait, job.name, process_memory)  # type: ignore[method-assign]
        if isinstance(job, ContainerCommandLineJob):
            job.docker_monitor = functools.partial(self._wait_for_container, job)  # type: ignore[method-assign]

    def _wait_for_container(
        self, job: ContainerCommandLineJob, cidfile: str, _: str, clean_up: bool, engine: str, process: Any
    ) -> None:
        requirement = job.builder.get_requirement("DockerRequirement")[0] or {}
        self.image = str(requirement.get("dockerPull") or requirement.get("dockerImageId") or "")
        if isinstance(job, DockerCommandLineJob) and self.image:
            self.digest = image_digest(engine, self.image)
        self._wait(job.name, functools.partial(container_memory, engine, Path(cidfile)), process)
        if clean_up:
            Path(cidfile).unlink(missing_ok=True)

    def _wait(self, name: str, memory: Callable[[Any], int | None], process: Any) -> None:
        pause = FIRST_LOOK
        while True:
            try:
                process.wait(timeout=pause)
                break
            except subprocess.TimeoutExpired:
                with contextlib.suppress(Exception):  # what cannot be measured is no reason to fail
                    self.memory = max(self.memory or 0, memory(process) or 0) or None
                pause = min(2 * pause, LOOKS)
        if self.memory:
            _logger.info("[job %s] Max memory used: %iMiB", name, round(self.memory / 2**20))


def new_usage(job: JobBase) -> JobUsage:
    """Return what a job that is to run has taken so far."""
    return JobUsage(shlex.join(str(word) for word in job.command_line)[:LONGEST_COMMAND])


def process_memory(process: Any) -> int | None:
    """Return the memory of a process and of all that it started, in bytes; none if it is gone."""
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(process.pid)
        return sum(_resident(each) for each in (root, *root.children(recursive=True)))
    return None


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def container_memory(engine: str, cidfile: Path, _: Any = None) -> int | None:
    """Return how much memory a container took at most, in bytes; none if it is gone, or elsewhere.

    :param engine: its command.
    :param cidfile: where the engine writes the identifier of the container.
    """
    with contextlib.suppress(OSError, ValueError):
        container = cidfile.read_text(encoding="ascii").strip()
        if container:
            for peak in PEAKS:
                with contextlib.suppress(FileNotFoundError):
                    return int((CGROUPS / peak.format(engine=engine, container=container)).read_text(encoding="ascii"))
    return None


@functools.lru_cache
def image_digest(engine: str, image: str) -> str:
    """Return the name with which an image can be pulled again, ``name@sha256:…``; nothing if there is none."""
    with contextlib.suppress(ContainerEngineError, ValueError):
        digests = ContainerEngine(engine, ENGINE_TIMEOUT).image_digests(image)
        # One image may have several names.
        name = image.removeprefix("docker.io/").removeprefix("library/").partition("@")[0]
        folder, slash, last = name.rpartition("/")
        own = f"{folder}{slash}{last.partition(':')[0]}"
        return next((each for each in digests if each.partition("@")[0].endswith(own)), next(iter(digests), ""))
    return ""


def write_usage(usages: Iterable[JobUsage], file: Path) -> None:
    """Keep what jobs took in a file; a full disk is no reason for a step to fail that has succeeded."""
    try:
        write_atomically(file, json.dumps([asdict(each) for each in usages]))
    except OSError as error:
        _logger.warning("What the jobs took cannot be kept: %s", error)


def summarize_usage(folder: Path) -> dict[str, Any]:
    """Return what all jobs of a step took, as the report of a run has it.

    :param folder: with the files that `write_usage` made.
    :returns: what `merge_usage` does.
    """
    return merge_usage(read_usage(file.read_bytes()) for file in sorted(folder.glob("*.json")))


def read_usage(text: bytes) -> dict[str, Any]:
    """Return what the jobs of a task took.

    :param text: what `write_usage` wrote.
    :returns: the number of jobs; of the first one the command; exit codes and images (with digest) that there were; the
        memory in bytes that one of them took at most; ``failed``, how the first one failed of those that did; nothing
        for a task without jobs.
    :raises ValueError: it is something else.
    """
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError("this says nothing of jobs")
    usages = [_read_job(each) for each in found]
    if not usages:
        return {}
    images = {each.image: each.digest for each in usages if each.image}
    memory = [each.memory for each in usages if each.memory is not None]
    failed = next((each for each in usages if each.reason), None)
    return {
        "jobs": len(usages),
        "command": usages[0].command,
        "exit_codes": sorted({each.exit_code for each in usages if each.exit_code is not None}),
        **({"images": images} if images else {}),
        **({"memory": max(memory)} if memory else {}),
        **({"failed": asdict(failed)} if failed else {}),
    }


def _read_job(value: Any) -> JobUsage:
    """Return what a job took; tools that run in no container could have written it."""
    try:
        usage = JobUsage(**value)
        texts = [usage.command, usage.image, usage.digest, usage.reason, *usage.lines]
    except TypeError as error:
        raise ValueError(f"this says nothing of a job: {error}") from error
    if not all(isinstance(text, str) for text in texts) or not isinstance(usage.lines, list):
        raise ValueError("what this says of a job is no text")
    if not all(number is None or isinstance(number, int) for number in (usage.exit_code, usage.memory)):
        raise ValueError("what this says of a job is no number")
    return usage


def merge_usage(tasks: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return what the jobs of several tasks took, in the form of that of one.

    :param tasks: what `read_usage` returned of each.
    """
    merged: dict[str, Any] = {}
    for task in tasks:
        exit_codes = {*merged.get("exit_codes", []), *task.get("exit_codes", [])}
        images = {**merged.get("images", {}), **task.get("images", {})}
        memory = max(merged.get("memory", 0), task.get("memory", 0))
        merged = {
            **task,
            **merged,
            **({"jobs": merged.get("jobs", 0) + task["jobs"], "exit_codes": sorted(exit_codes)} if task else {}),
            **({"images": images} if images else {}),
            **({"memory": memory} if memory else {}),
        }
    return merged
