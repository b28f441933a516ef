"""How much memory and how many cores the container of a job may take, so that a step does not take its host down."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cwltool.context import RuntimeContext
from cwltool.docker import DockerCommandLineJob
from cwltool.workflow import Workflow

from .step_workflow import StepWorkflow

_logger = logging.getLogger("cwltool")

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


def capped_resources(
    granted: Resources, request: Mapping[str, int | float], _: RuntimeContext
) -> dict[str, int | float]:
    """Return what a job gets of what it asks for (cwltool's ``select_resources``): no more than is granted."""
    given: dict[str, int | float] = {
        "cores": min(request["coresMin"], granted.cores),
        "ram": min(math.ceil(request["ramMin"]), math.floor(granted.ram)),
        "tmpdirSize": math.ceil(request["tmpdirMin"]),
        "outdirSize": math.ceil(request["outdirMin"]),
    }
    if request["coresMin"] > given["cores"] or request["ramMin"] > given["ram"]:
        _logger.warning(
            "A job asks for %g cores and %g MiB, and runs with %g and %g: its queue has no more (oversized = cap).",
            request["coresMin"], request["ramMin"], given["cores"], given["ram"],
        )  # fmt: skip
    if "cudaDeviceCountMin" in request:
        given["cudaDeviceCount"] = request["cudaDeviceCountMin"]
    return given


def runs_one_job(process: Any) -> bool:
    """Tell whether a process (cwltool's) is a tool that runs once."""
    if not isinstance(process, Workflow):
        return True
    steps = process.running_steps if isinstance(process, StepWorkflow) else process.steps
    return len(steps) == 1 and "scatter" not in steps[0].tool and runs_one_job(steps[0].embedded_tool)


def limit_container(job: Any, limits: Resources) -> bool:
    """Have Docker start the container of a job with limits, and tell whether it is Docker that does.

    cwltool knows only what a document asks for (``--strict-memory-limit``); where a DAG wants that, it stays.

    Source: ``--memory``, ``--memory-swap`` (with memory) and ``--cpus`` of docker run.
    """
    if not isinstance(job, DockerCommandLineJob) or job.docker_exec != "docker":
        return False
    create = job.create_runtime
    memory = f"{math.ceil(limits.ram)}m"
    # The engine takes no more cores than it has.
    cores = min(limits.cores, len(os.sched_getaffinity(0)))

    def create_limited(env: Any, context: RuntimeContext) -> tuple[list[str], str | None]:
        if context.user_space_docker_cmd:
            return create(env, context)
        strict = context.copy()
        strict.strict_memory_limit = strict.strict_cpu_limit = True  # else it warns that there are no limits
        runtime, cidfile = create(env, strict)
        if not context.strict_memory_limit:
            runtime = [word for word in runtime if not word.startswith("--memory=")]
            runtime += [f"--memory={memory}", f"--memory-swap={memory}"]
        if not context.strict_cpu_limit:
            runtime = [*(word for word in runtime if not word.startswith("--cpus=")), f"--cpus={cores:g}"]
        return runtime, cidfile

    job.create_runtime = create_limited  # type: ignore[assignment,method-assign]
    return True
