"""Plan the tasks of a document that was loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cwltool.process import Process, shortname
from cwltool.utils import aslist
from cwltool.workflow import Workflow

from .plan import DocumentPlan, StepTask, task_ids
from .resources import resource_need, step_need


def make_plan(process: Process, name: str) -> DocumentPlan:
    """Return which tasks run a document.

    :param name: names the task if the document is one tool.
    """
    if not isinstance(process, Workflow):
        (task,) = task_ids([name]).values()
        return DocumentPlan({task: StepTask(None, need=resource_need(process))}, (task,))
    ids = task_ids(shortname(step["id"]) for step in process.tool["steps"])
    task_of_output = {
        output_id(output): ids[shortname(step["id"])] for step in process.tool["steps"] for output in step["out"]
    }
    needs = {shortname(step.id): step_need(step) for step in process.steps}
    tasks = {}
    for step in process.tool["steps"]:
        step_name = shortname(step["id"])
        before = _tasks_giving(source_ids(step["in"], "source"), task_of_output)
        tasks[ids[step_name]] = StepTask(step_name, before, "scatter" in step, needs[step_name])
    return DocumentPlan(tasks, _tasks_giving(source_ids(process.tool["outputs"], "outputSource"), task_of_output))


def source_ids(parameters: Iterable[Mapping[str, Any]], field: str) -> set[str]:
    """Return the ids of the parameters that others take their values from.

    :param field: of each parameter, which has one id, several, or none.
    """
    return {source for parameter in parameters for source in aslist(parameter.get(field) or [])}


def output_id(output: str | Mapping[str, Any]) -> str:
    """Return the id of an output of a step, which may be written in two ways."""
    return output if isinstance(output, str) else str(output["id"])


def _tasks_giving(wanted: Iterable[str], task_of_output: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted({task_of_output[source] for source in wanted if source in task_of_output}))
