"""A workflow that runs one of its steps at a time, or some of the jobs of a scattered one."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Container, Mapping, MutableSequence
from dataclasses import dataclass
from typing import Any

from cwltool.context import LoadingContext, RuntimeContext
from cwltool.errors import WorkflowException
from cwltool.process import shortname
from cwltool.utils import JobsGeneratorType as JobsGenerator
from cwltool.utils import WorkflowStateItem, aslist
from cwltool.workflow import Workflow
from cwltool.workflow_job import WorkflowJob, object_from_state

from ..documents.plan import task_ids

OutputCallback = Callable[[Any, str], None]
#: The method of a step that makes its jobs.
MakeJobs = Callable[..., JobsGenerator]
#: Values of the workflow's inputs and of the steps' outputs, by the URI of the parameter; none before there is one.
Values = dict[str, WorkflowStateItem | None]


class ScatterJobs:
    """The jobs of a scattered step, numbered in the order in which cwltool makes them."""

    def __init__(self, to_run: Container[int] | None = None, finished: Mapping[int, Any] | None = None) -> None:
        """Say which jobs to run.

        :param to_run: their numbers; all by default.
        :param finished: outputs and status of jobs that ran before, which do not run again.
        """
        self._to_run = to_run
        self._finished = finished or {}
        #: Outputs and status of the jobs that were run, by number.
        self.done: dict[int, Any] = {}
        #: How many jobs the step has.
        self.total = 0

    def watch(self, make_job: MakeJobs) -> MakeJobs:
        """Return what stands in for the method that makes the jobs of a step."""
        numbers = itertools.count()

        def make_watched_job(order: Any, callback: OutputCallback, context: RuntimeContext) -> JobsGenerator:
            number = next(numbers)
            self.total = number + 1
            return self._job(number, make_job, order, callback, context)

        return make_watched_job

    def _job(
        self,
        number: int,
        make_job: MakeJobs,
        order: Any,
        callback: OutputCallback,
        context: RuntimeContext,
    ) -> JobsGenerator:
        def note(outputs: Any, status: str) -> None:
            self.done[number] = {"outputs": outputs, "status": status}
            callback(outputs, status)

        if number in self._finished:
            callback(self._finished[number]["outputs"], self._finished[number]["status"])
        elif self._to_run is None or number in self._to_run:
            yield from make_job(order, note, context)
        else:
            callback({}, "success")


@dataclass(frozen=True)
class StepRequest:
    """What of a workflow is to run, and what is known of the rest."""

    #: Name of the step.
    step: str
    #: The inputs of the workflow by name.
    inputs: Mapping[str, Any]
    #: Returns outputs and status of a step by the id of its task; none if it has not run.
    report: Callable[[str], Mapping[str, Any] | None]
    #: Which of the step's jobs, if it is scattered and not all are to run here.
    jobs: ScatterJobs | None = None
    #: Whether to hand over the outputs of these jobs, by number, instead of the step's.
    only_jobs: bool = False


class StepWorkflow(Workflow):
    """A workflow that can run one of its steps, when it is given what the steps before it gave."""

    def __init__(
        self,
        toolpath_object: Any,
        loading_context: LoadingContext,
        needed: Container[str] | None = None,
        request: StepRequest | None = None,
    ) -> None:
        """Make the workflow.

        :param needed: ids of the steps that are to be made; all by default.
        :param request: what is to run; none where nothing of it is.
        """
        #: The names of all steps.
        self.step_names = [shortname(step["id"]) for step in toolpath_object["steps"]]
        if needed is not None:
            toolpath_object = copy.copy(toolpath_object)
            toolpath_object["steps"] = [step for step in toolpath_object["steps"] if step["id"] in needed]
        super().__init__(toolpath_object, loading_context)
        self._request = request

    @property
    def running_steps(self) -> list[Any]:
        """The steps that run: the one that is asked for, and not those before it, or all."""
        if self._request is None:
            return list(self.steps)
        return [step for step in self.steps if shortname(step.tool["id"]) == self._request.step]

    def values(self, inputs: Mapping[str, Any], report: Callable[[str], Mapping[str, Any] | None]) -> Values:
        """Return what is known of the workflow, as cwltool keeps it.

        :param inputs: as in `StepRequest`.
        :param report: as in `StepRequest`.
        """
        values: Values = {}
        for parameter in self.tool["inputs"]:
            value = inputs.get(shortname(parameter["id"]), parameter.get("default"))
            values[parameter["id"]] = WorkflowStateItem(parameter, value, "success")
        ids = task_ids(self.step_names)
        for step in self.steps:
            found = report(ids[shortname(step.tool["id"])])
            for parameter in step.tool["outputs"]:
                value = found["outputs"].get(shortname(parameter["id"])) if found else None
                values[parameter["id"]] = WorkflowStateItem(parameter, value, found["status"]) if found else None
        return values

    def job(self, job_order: Any, output_callbacks: Any, runtime_context: RuntimeContext) -> JobsGenerator:
        """Make the jobs of the step, and hand over its outputs when they have ended (called by cwltool)."""
        request = self._request
        if request is None:
            raise RuntimeError("It was not said which step is to run.")
        values = self.values(request.inputs, request.report)
        workflow_job = WorkflowJob(self, runtime_context)
        workflow_job.state = values
        workflow_job.processStatus = "success"
        # The workflow's outputs are for the last task.
        workflow_job.do_output_callback = lambda *_: None  # type: ignore[method-assign]
        (step,) = (step for step in workflow_job.steps if shortname(step.id) == request.step)
        if request.jobs:
            step.job = request.jobs.watch(step.job)  # type: ignore[method-assign]
        check_lengths(step.tool, values)
        runtime_context = runtime_context.copy()
        runtime_context.outdir = None
        runtime_context.part_of = f"workflow {workflow_job.name}"
        runtime_context.toplevel = False
        for output in step.tool["outputs"]:
            values[output["id"]] = None
        yield from workflow_job.try_make_job(step, lambda *_: None, runtime_context)
        while not step.completed:
            yield None
        items = {shortname(output["id"]): values[output["id"]] for output in step.tool["outputs"]}
        status = _step_status(workflow_job.processStatus, items)
        if request.only_jobs and request.jobs:
            output_callbacks({str(number): done for number, done in request.jobs.done.items()}, status)
            return
        output_callbacks({name: item.value if item else None for name, item in items.items()}, status)


def check_lengths(step: Mapping[str, Any], values: Values) -> None:
    """Refuse a step whose lists are to be of one length and are not: cwltool does not say which.

    :param step: as cwltool has it.
    :param values: what is known of the workflow.
    :raises cwltool.errors.WorkflowException: names the inputs with their lengths.
    """
    if step.get("scatterMethod") != "dotproduct":
        return
    inputs = object_from_state(values, step["inputs"], False, True, "source") or {}
    lists = {shortname(key): inputs.get(key) for key in aslist(step["scatter"])}
    lengths = {name: len(value) for name, value in lists.items() if isinstance(value, MutableSequence)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"'{name}' has {length}" for name, length in lengths.items())
        raise WorkflowException(f"What is scattered with dotproduct must be lists of one length: {told}.")


def _step_status(status: str, items: Mapping[str, WorkflowStateItem | None]) -> str:
    """Return the status of a step: a scattered one of which only some jobs were skipped was not."""
    states = {item.success for item in items.values() if item is not None}
    skipped = status == "success" and states == {"skipped"} and not any(map(_has_value, items.values()))
    return "skipped" if skipped else status


def _has_value(item: WorkflowStateItem | None) -> bool:
    values = [item.value if item else None]
    while values:
        value = values.pop()
        if isinstance(value, list):
            values += value
        elif value is not None:
            return True
    return False
