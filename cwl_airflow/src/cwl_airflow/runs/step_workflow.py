"""A workflow that runs one of its steps at a time, or some of the jobs of a scattered one."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Container, Iterator
from typing import Any

from cwltool.context import LoadingContext, RuntimeContext
from cwltool.process import shortname
from cwltool.utils import WorkflowStateItem
from cwltool.workflow import Workflow
from cwltool.workflow_job import WorkflowJob

Callback = Callable[[Any, str], None]


class Jobs:
    """The jobs of a scattered step, numbered in the order in which cwltool makes them."""

    def __init__(self, run: Container[int] = (), known: dict[int, Any] | None = None) -> None:
        """Say which jobs to run.

        :param run: their numbers.
        :param known: outputs and status of jobs that ran before.
        """
        self._run = run
        self._known = known or {}
        #: Outputs and status of the jobs that were run, by number.
        self.done: dict[int, Any] = {}
        #: How many jobs the step has.
        self.total = 0

    def watch(self, make: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Stand in for the method that makes the jobs of a step."""
        numbers = itertools.count()

        def job(order: Any, callback: Callback, context: RuntimeContext) -> Iterator[Any]:
            number = next(numbers)
            self.total = number + 1
            return self._job(number, make, order, callback, context)

        return job

    def _job(self, number: int, make: Any, order: Any, callback: Callback, context: RuntimeContext) -> Iterator[Any]:
        def done(outputs: Any, status: str) -> None:
            self.done[number] = {"outputs": outputs, "status": status}
            callback(outputs, status)

        if number in self._known:
            callback(self._known[number]["outputs"], self._known[number]["status"])
        elif number in self._run:
            yield from make(order, done, context)
        else:
            callback({}, "success")


def _given(item: WorkflowStateItem | None) -> bool:
    """Tell whether an output has a value: a scattered step of which only some jobs were skipped has."""
    values = [item.value if item else None]
    while values:
        value = values.pop()
        if isinstance(value, list):
            values += value
        elif value is not None:
            return True
    return False


class StepByStep(Workflow):  # type: ignore[misc]  # cwltool is typed in part only
    """A workflow that can run one of its steps, when it is given what the steps before it gave."""

    def __init__(
        self, toolpath_object: Any, loading_context: LoadingContext, needed: Container[str] | None = None
    ) -> None:
        """Make the workflow.

        :param needed: ids of the steps that are to be made; all by default.
        """
        #: The names of all steps.
        self.step_names = [shortname(step["id"]) for step in toolpath_object["steps"]]
        if needed is not None:
            toolpath_object = copy.copy(toolpath_object)
            toolpath_object["steps"] = [step for step in toolpath_object["steps"] if step["id"] in needed]
        super().__init__(toolpath_object, loading_context)
        #: Values of the workflow's inputs and of the steps' outputs, by the URI of the parameter.
        self.state: dict[str, WorkflowStateItem | None] = {}
        #: The step to run.
        self.only: str | None = None
        #: Which of its jobs, if it is scattered and not all are to run here.
        self.jobs: Jobs | None = None
        #: Whether to hand over the outputs of these jobs, by number, instead of the step's.
        self.only_jobs = False

    def job(self, job_order: Any, output_callbacks: Callback, runtime_context: RuntimeContext) -> Iterator[Any]:
        """Make the jobs of the step, and hand over its outputs when they have ended."""
        workflow_job = WorkflowJob(self, runtime_context)
        workflow_job.state = self.state
        workflow_job.processStatus = "success"
        workflow_job.do_output_callback = lambda *_: None  # the workflow's outputs are for the last task
        (step,) = (step for step in workflow_job.steps if shortname(step.id) == self.only)
        if self.jobs:
            step.job = self.jobs.watch(step.job)
        runtime_context = runtime_context.copy()
        runtime_context.outdir = None
        runtime_context.part_of = f"workflow {workflow_job.name}"
        runtime_context.toplevel = False
        for output in step.tool["outputs"]:
            self.state[output["id"]] = None
        yield from workflow_job.try_make_job(step, lambda *_: None, runtime_context)
        while not step.completed:
            yield None
        items = {shortname(output["id"]): self.state[output["id"]] for output in step.tool["outputs"]}
        states = {item.success for item in items.values() if item is not None}
        status = workflow_job.processStatus
        if status == "success" and states == {"skipped"} and not any(_given(item) for item in items.values()):
            status = "skipped"
        if self.only_jobs and self.jobs:
            output_callbacks({str(number): done for number, done in self.jobs.done.items()}, status)
            return
        output_callbacks({name: item.value if item else None for name, item in items.items()}, status)
