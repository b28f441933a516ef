"""How much memory and how many cores the container of a job may take, so that a step does not take its host down."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

from cwltool.docker import DockerCommandLineJob

#: The exit status of what the kernel, or anybody else, has killed.
KILLED = "exit status 137"


@dataclass(frozen=True)
class Resources:
    """Cores, and memory in MiB."""

    cores: float
    ram: float

    def share(self, need: Resources, alone: bool) -> Resources:
        """Return what a job may take of what a queue grants.

        :param need: what it asks for.
        :param alone: whether it is the only job of its step; else each gets as much as others like it beside it.
        """
        if alone:
            return Resources(max(need.cores, self.cores), max(need.ram, self.ram))
        number = max(1, math.floor(min(self.cores / (need.cores or 1), self.ram / (need.ram or 1))))
        return Resources(max(need.cores, self.cores / number), max(need.ram, self.ram / number))


def runs_one_job(process: Any) -> bool:
    """Tell whether a process (cwltool's) is a tool that runs once."""
    steps = getattr(process, "steps", None)
    if steps is None:
        return True
    return len(steps) == 1 and "scatter" not in steps[0].tool and runs_one_job(steps[0].embedded_tool)


def limit_container(job: Any, limits: Resources) -> bool:
    """Have Docker start the container of a job with limits, and tell whether it is Docker that does.

    cwltool knows only what a document asks for (``--strict-memory-limit``).

    Source: ``--memory`` and ``--cpus`` of docker run.
    """
    if not isinstance(job, DockerCommandLineJob) or job.docker_exec != "docker":
        return False
    create = job.create_runtime
    # The engine takes no more cores than there are.
    cores = min(limits.cores, os.cpu_count() or 1)
    options = [f"--memory={math.ceil(limits.ram)}m", f"--cpus={cores:g}"]

    def create_limited(*arguments: Any) -> tuple[list[str], str | None]:
        runtime, cidfile = create(*arguments)
        return [*runtime, *options], cidfile

    job.create_runtime = create_limited  # type: ignore[assignment,method-assign]
    return True
