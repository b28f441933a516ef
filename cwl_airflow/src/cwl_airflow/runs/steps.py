"""Run a step of a run, or some of the jobs of a scattered one, and keep what it gives."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import Any

from cwltool.context import RuntimeContext
from cwltool.errors import WorkflowException
from cwltool.executors import JobExecutor
from cwltool.mutation import MutationManager
from cwltool.utils import visit_class
from ruamel.yaml.comments import CommentedMap

from ..documents.plan import DISPATCHER
from .cwl_json import read_cwl_json, write_cwl_json
from .executor import StepExecutor
from .layout import jobs_place, step_place
from .run import REQUIREMENTS, CWLRun
from .step_workflow import ScatterJobs, StepRequest
from .usage import write_usage


def run_step(run: CWLRun, step: str | None, task: str, executor: JobExecutor) -> str:
    """Run a step, or the tool if the document is one, and keep its outputs.

    Jobs of the step that ran before on their own (`run_scatter_share`) are not run again.

    :param step: the step's name in the workflow; none if the document is a tool.
    :param task: the id of its task.
    :returns: ``success`` or ``skipped``.
    :raises cwltool.errors.WorkflowException: it failed.
    """
    began = time.monotonic()
    finished: dict[int, Any] = {}
    for file in run.layout.jobs(task).glob("*.json"):
        finished |= {int(number): done for number, done in read_cwl_json(file).items()}
    jobs = ScatterJobs(finished=finished) if finished else None
    outputs, status = _run_part(run, step, task, step_place(task), executor, jobs)
    disk = sum(folder_size(run.layout.outputs(place)) for place in (step_place(task), jobs_place(task)))
    report = {"status": status, "outputs": outputs, "disk": disk, "seconds": round(time.monotonic() - began, 3)}
    write_cwl_json(report, run.layout.step(task))
    return status


def share_out_scatter(run: CWLRun, step: str, task: str, in_task: int, tasks: int) -> list[list[int]]:
    """Share the jobs of a scattered step out among tasks.

    :param in_task: up to so many jobs are left to the step's own task.
    :param tasks: number of tasks at most.
    :returns: first number of each share and the number after its last.
    """
    for folder in (run.layout.jobs(task), run.layout.used(task), run.layout.outputs(jobs_place(task))):
        shutil.rmtree(folder, ignore_errors=True)
    counted = ScatterJobs(to_run=())
    _run_part(run, step, task, f"count-{task}", _CountingExecutor(), counted)
    if counted.total <= in_task:
        return []
    each = math.ceil(counted.total / tasks)
    return [[first, min(first + each, counted.total)] for first in range(0, counted.total, each)]


def run_scatter_share(run: CWLRun, step: str, task: str, share: list[int], executor: JobExecutor) -> None:
    """Run a share of the jobs of a scattered step, and keep their outputs.

    :param share: what `share_out_scatter` returned.
    """
    place = jobs_place(task, share[0])
    outputs, _ = _run_part(run, step, task, place, executor, ScatterJobs(to_run=range(*share)), only_jobs=True)
    write_cwl_json(outputs, run.layout.jobs(task) / f"{share[0]}.json")


def _run_part(
    run: CWLRun,
    step: str | None,
    task: str,
    place: str,
    executor: JobExecutor,
    jobs: ScatterJobs | None = None,
    only_jobs: bool = False,
) -> tuple[Any, str]:
    run.layout.step(task).unlink(missing_ok=True)
    inputs = read_cwl_json(run.layout.inputs)
    if step is None:
        process, order = run.load(DISPATCHER), inputs
    else:
        process = run.load(step, StepRequest(step, inputs, run.step_report, jobs, only_jobs))
        order = {REQUIREMENTS: inputs[REQUIREMENTS]} if REQUIREMENTS in inputs else {}
    with run.context(place) as context:
        outdir = run.layout.outputs(place)
        shutil.rmtree(outdir, ignore_errors=True)
        outdir.mkdir(parents=True)
        # Left where the jobs made them: moving would change what the next step sees of them.
        context.tmp_outdir_prefix = f"{outdir}/"
        try:
            outputs, status = executor(process, CommentedMap(order), context)
        finally:
            if isinstance(executor, StepExecutor):
                write_usage(executor.usages, run.layout.used(task) / f"{Path(place).name}.json")
    if status not in ("success", "skipped"):
        raise WorkflowException(f"ended with {status}: see above, or clear the steps before it")
    # cwltool's own count of who may still write a file; it means nothing in another process.
    visit_class(outputs, ("File",), MutationManager().unset_generation)
    return outputs, status


class _CountingExecutor(JobExecutor):
    """Runs nothing: for making jobs only to count them."""

    def run_jobs(self, process: Any, job_order_object: Any, logger: Any, runtime_context: RuntimeContext) -> None:
        for _ in process.job(job_order_object, self.output_callback, runtime_context):
            raise AssertionError("a job was to be run while they were counted")


def folder_size(folder: Path) -> int:
    """Return the size of all files of a folder in bytes, links not followed."""
    return sum(entry.lstat().st_size for entry in folder.rglob("*") if not entry.is_dir())
