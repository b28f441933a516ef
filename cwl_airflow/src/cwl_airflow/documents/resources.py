"""What the jobs of a document need of a machine."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping
from typing import Any

from cwltool.process import Process
from cwltool.update import ORIGINAL_CWLVERSION
from cwltool.workflow import Workflow, WorkflowStep

from .plan import ResourceNeed


def step_need(step: WorkflowStep) -> ResourceNeed:
    """Return what the jobs of a step need; one that runs under a condition only may need nothing."""
    need = resource_need(step.embedded_tool)
    return need.hinted() if "when" in step.tool else need


def resource_need(process: Process) -> ResourceNeed:
    """Return what the jobs of a process need, before there are any.

    Precedence and inheritance are cwltool's; which field decides is as in its ``Process.evalResources``.
    """
    if isinstance(process, Workflow):
        return functools.reduce(operator.or_, map(step_need, process.steps), ResourceNeed())
    found, required = process.get_requirement("ResourceRequirement")
    resources: Mapping[str, Any] = found or {}
    cores = resources.get("coresMin") or resources.get("coresMax") or 1
    ram = resources.get("ramMin") or resources.get("ramMax")
    ram = ram or (1024 if process.metadata.get(ORIGINAL_CWLVERSION) == "v1.0" else 256)
    known = not isinstance(cores, str) and not isinstance(ram, str)
    cores = 0 if isinstance(cores, str) else cores
    ram = 0 if isinstance(ram, str) else math.ceil(ram)
    return ResourceNeed(cores, ram, *((cores, ram) if required else (0, 0)), known)
