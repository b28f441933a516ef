"""The tasks of a CWL document. They know their context, XCom and files, and nothing of Airflow's database."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import shutil
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from ..callers import Caller
from ..documents.plan import DISPATCHER, GATHERER
from ..environment import leave_environment
from ..files import write_atomically
from ..gate.job import FOLDERS
from ..runs.folder import held_folder, remove_old_failures
from ..runs.job_input import check_folder_writable, folders_named_by_job
from ..runs.layout import RunLayout
from ..runs.room import wait_for_room
from ..runs.tries import Try, begin_try, describe_try, fail_try, write_try
from .failures import StepFailed, error_line, error_text, failure_line, failure_text, is_expected, last_line
from .form import job_of_configuration
from .notes import ERROR
from .retries import StepLost, first_try, is_lost
from .settings import CWLSettings
from .task_log import cwltool_in_task_log

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ..gate import Gate
    from ..runs.executor import StepExecutor
    from ..runs.run import CWLRun
    from .dag import CWLDAG

#: Under which key the last task pushes the outputs of the run.
RESULTS = "results"
#: After how long a task comes again that found no room.
PAUSE_FOR_ROOM = timedelta(seconds=30)
#: Outputs that are longer as JSON are not pushed, in bytes: a database takes no more than some MiB at once.
LONGEST_RESULTS = 4 * 2**20


class CWLOperator(BaseOperator):
    """What the tasks of a document have in common."""

    def __init__(self, **kwargs: Any) -> None:
        """Set the rule by which a step that was skipped does not stop those after it.

        :param kwargs: what any operator takes.
        """
        super().__init__(**{"trigger_rule": "none_failed", **kwargs})
        self._run: CWLRun | None = None
        self._at_work = False
        self._try: Try | None = None

    def execute(self, context: Context) -> Any:
        """Do what the task is for; if it fails, push why, for the reports of the run.

        :raises StepFailed: the task failed.
        """
        leave_environment()
        self._at_work = True
        try:
            return self.act(context)
        except (AirflowSkipException, AirflowRescheduleException):
            raise
        except (Exception, AirflowTaskTimeout) as error:
            self._at_work = False
            line = error_line(error, self.shown_name, self.task_id)
            if isinstance(error, AirflowTaskTimeout):
                line = f"{self.shown_name}: took longer than the {self.execution_timeout} of its execution_timeout"
                self.log.error("%s", line)
            self._note_failed_try(line, is_lost(error))
            try:
                context["ti"].xcom_push(key=ERROR, value=line)
            except Exception:  # the first error is the one that matters
                self.log.warning("The error could not be pushed", exc_info=True)
            # Where in Python an error was raised that says all says nothing to who reads the log.
            if isinstance(error, StepFailed):
                error.__traceback__ = None
            elif is_expected(error):
                raise StepFailed(line) from None
            raise
        finally:
            self._at_work = False

    def act(self, context: Context) -> Any:
        """Do what the task is for."""
        raise NotImplementedError

    @property
    def shown_name(self) -> str:
        """What people call the task: its step, if it has one."""
        return getattr(self, "step", None) or self.task_id

    @property
    def cwl_dag(self) -> CWLDAG:
        """The DAG of the document."""
        return cast("CWLDAG", self.dag)

    @cached_property
    def settings(self) -> CWLSettings:
        """The settings of the DAG."""
        return CWLSettings.read(self.cwl_dag.default_args.get("cwl") or {})

    def gate(self, context: Context, folder: Path | None = None) -> Gate:
        """Return what the run may read and write.

        :param folder: with its intermediate data.
        """
        reads = Caller.of(context["dag_run"].conf).reads
        return self.settings.places.gate(self.cwl_dag.dag_id, folder, reads)

    def run_in(self, context: Context, layout: RunLayout) -> CWLRun:
        """Return the run with a folder."""
        from ..runs.run import CWLRun

        settings = self.settings
        gate = self.gate(context, layout.folder)
        gate.write(layout.folder, "'tmp_folder'", between_steps=True)
        self._run = CWLRun(self.cwl_dag.source, layout, gate, settings.cwltool, settings.engine, settings.pickle_folder)
        return self._run

    def begin(self, context: Context, layout: RunLayout, job: Any) -> dict[str, Any]:
        """Begin the run with a job, and return its inputs."""
        from ..runs.inputs import begin_run

        documents = Caller.of(context["dag_run"].conf).documents
        return begin_run(self.run_in(context, layout), job, str(self.settings.inputs_folder), documents)

    def wait_for_room(self, *folders: Path) -> None:
        """Wait while there is less room than the site wants where a task and the container engine write.

        :raises AirflowRescheduleException: there still is not: the task comes again later, and is not tried again.
        """
        settings = self.settings
        if not wait_for_room([*folders, *settings.engine_folders], settings.min_free, self.log.warning):
            later = datetime.now(timezone.utc) + PAUSE_FOR_ROOM
            raise AirflowRescheduleException(later)  # type: ignore[no-untyped-call]  # Airflow's

    def layout(self, context: Context) -> RunLayout:
        """Return the run's folder, as the dispatcher reported it."""
        return RunLayout(Path(self.reported_job(context)["tmp_folder"]))

    def reported_job(self, context: Context) -> dict[str, Any]:
        """Return the run's job with its folders, as the dispatcher reported it.

        :raises StepFailed: the run's data is gone.
        """
        dispatcher = self.cwl_dag.dispatcher.task_id
        # By default, a mapped task pulls what a mapped task of its own number pushed.
        report = context["ti"].xcom_pull(task_ids=dispatcher, map_indexes=-1)
        try:
            text = Path(report).read_text(encoding="utf-8")
            job: dict[str, Any] = json.loads(text)
            layout = RunLayout(Path(job["tmp_folder"]))
        except (OSError, TypeError, ValueError, KeyError) as error:
            raise StepFailed(
                f"The data of this run is gone ({report or 'no report'}): clear {dispatcher}, with all tasks after it."
            ) from error
        if Path(report) != layout.job:
            self._begin_once(context, layout, job, text)
        return job

    def _begin_once(self, context: Context, layout: RunLayout, job: dict[str, Any], report: str) -> None:
        """Begin the run for a dispatcher of the user's own, once for each of its reports."""
        begun = layout.begun(report)
        with layout.begin_lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not begun.exists():
                self.begin(context, layout, job)
                begun.touch()

    @property
    def failures(self) -> int | None:
        """How many tries of the task failed by what it does since it was last cleared; none if that is not known."""
        return self._try.failures if self._try else None

    def begin_try(self, context: Context, layout: RunLayout) -> Try:
        """Note that a try of the task begins, and say why there was another one before."""
        task = context["ti"]
        self._try_file = layout.last_try(self.task_id, -1 if task.map_index is None else task.map_index)
        first = first_try(task.max_tries or 0, self.retries or 0)
        self._try, before = begin_try(self._try_file, task.try_number, first)
        if before:
            self.log.warning("%s", describe_try(before))
        return self._try

    def _note_failed_try(self, line: str, lost: bool) -> None:
        if self._try:
            with contextlib.suppress(OSError):  # the first error is the one that matters
                self._try = fail_try(self._try_file, self._try, line, lost)

    @contextlib.contextmanager
    def acting(self, context: Context, layout: RunLayout) -> Iterator[None]:
        """Hold the run's folder while the task works in it, and end what it started if it fails."""
        if not self._try:
            self.begin_try(context, layout)
        quiet = bool(self.settings.cwltool.get("quiet"))
        with cwltool_in_task_log(quiet), self._told_in_one_line(), self._ended_on_failure(), held_folder(layout):
            yield

    @contextlib.contextmanager
    def _ended_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.stop()
            raise

    @contextlib.contextmanager
    def _told_in_one_line(self) -> Iterator[None]:
        try:
            yield
        except AirflowException:
            raise
        except BrokenPipeError as error:  # it writes to nobody but its supervisor
            raise StepLost(f"{self.task_id}: its supervisor went away: {error}") from None
        except Exception as error:
            self.log.error("%s", error_text(error), exc_info=not is_expected(error))
            raise StepFailed(f"{self.shown_name}: {last_line(error)}") from None

    def stop(self) -> None:
        """End what this task started."""
        if self._run is not None:
            self._run.stop()

    def on_kill(self) -> None:
        """End what this task started (called by Airflow when the task is to end).

        :raises StepLost: the task is at work, and would go on with what comes next: Airflow only calls this. It is not
            tried again if its run, or itself, was ended: then it no longer counts as running.
        """
        self.stop()
        if self._at_work:
            raise StepLost(f"{self.task_id}: it was told to end")


class CWLJobDispatcher(CWLOperator):
    """Takes the job of a run: checks it, and keeps it where the steps find it."""

    def __init__(self, task_id: str = DISPATCHER, **kwargs: Any) -> None:
        """Give the task its name.

        :param kwargs: what any operator takes.
        """
        super().__init__(task_id=task_id, **kwargs)

    def act(self, context: Context) -> str:
        """Check the job, and return the path of the file that reports it.

        :raises ValueError: the job has none or a misspelt input.
        """
        settings = self.settings
        job = job_of_configuration(context["dag_run"].conf, self.cwl_dag.plan.about.inputs, self.cwl_dag.params)
        given = folders_named_by_job(job, str(settings.inputs_folder), self.gate(context))
        folder, outputs_folder = self.cwl_dag.folders(context["run_id"], given)
        remove_old_failures(settings.tmp_folder, settings.keep_failed_days)
        self.wait_for_room(folder, outputs_folder)
        check_folder_writable("tmp_folder", str(folder))
        check_folder_writable("outputs_folder", str(outputs_folder))
        layout = RunLayout(folder)
        begun = self.begin_try(context, layout)
        shutil.rmtree(folder, ignore_errors=True)
        write_try(layout.last_try(self.task_id, -1), begun)
        with self.acting(context, layout):
            inputs = self.begin(context, layout, job)
        report = {**inputs, "tmp_folder": str(folder), "outputs_folder": str(outputs_folder)}
        write_atomically(layout.job, json.dumps(report))
        return str(layout.job)


class CWLStepOperator(CWLOperator):
    """Runs a step, or the whole document where it is a tool."""

    def __init__(self, task_id: str, step: str | None = None, **kwargs: Any) -> None:
        """Say which step the task runs.

        :param step: the step's name in the workflow; none if the document is a tool.
        :param kwargs: what any operator takes.
        """
        super().__init__(task_id=task_id, **kwargs)
        self.step = step
        #: The task that has the step's name.
        self.step_task_id = task_id

    def act(self, context: Context) -> Any:
        """Run the step, and return the path of the file that reports its outputs.

        :raises StepFailed: it failed; the log has the tool's command and its last lines.
        :raises AirflowSkipException: it is not to run this time.
        """
        from ..runs.steps import run_step

        job = self.reported_job(context)
        layout = RunLayout(Path(job["tmp_folder"]))
        with held_folder(layout):
            self.wait_for_room(layout.folder, Path(job["outputs_folder"]))
        with self.acting(context, layout), self.step_executor() as executor:
            status = run_step(self.run_in(context, layout), self.step, self.task_id, executor)
        report = str(layout.step(self.task_id))
        if status == "skipped":
            context["ti"].xcom_push(key="return_value", value=report)
            raise AirflowSkipException("The step's condition is false.")
        return report

    @contextlib.contextmanager
    def step_executor(self) -> Iterator[StepExecutor]:
        """Make what runs the jobs of the step, and say how they failed."""
        from ..runs.executor import StepExecutor

        settings = self.settings
        granted = settings.granted_resources(self.queue)
        if settings.capped and (said := self.cwl_dag.capped_text(self.step_task_id, granted)):
            self.log.warning("%s", said)
        executor = StepExecutor(*granted, settings.limit_containers, settings.capped)
        with self.share_of_host(), self._failures_told(executor):
            yield executor

    @contextlib.contextmanager
    def share_of_host(self) -> Iterator[None]:
        """Hold what the task's queue grants of its host; nothing where nobody says how much that is."""
        from ..runs.limits import Resources
        from ..runs.shares import held_share

        queue = self.settings.queues.get(str(self.queue)) if self.settings.share_host else None
        if not queue:
            yield
            return
        with held_share(Resources(queue.cpus, queue.ram), self.log.info):
            yield

    @contextlib.contextmanager
    def _failures_told(self, executor: StepExecutor) -> Iterator[None]:
        began = time.time()
        try:
            yield
        except Exception as error:
            for failure in executor.failures:
                self.log.error("%s", failure_text(failure))
            said = failure_line(executor.failures[0]) if executor.failures else last_line(error)
            if self._needed_engine(executor, said) and self.settings.engine.was_lost_since(began):
                raise StepLost(f"{self.shown_name}: the container engine went away: {said}") from error
            if not executor.failures:
                raise
            raise StepFailed(f"{self.shown_name}: {said}") from None

    def _needed_engine(self, executor: StepExecutor, said: str) -> bool:
        """Tell whether a step may have failed as its container engine went away; before its jobs, cwltool names it."""
        if self.settings.container_engine != "docker":
            return False
        return any(failure.contained for failure in executor.failures) or (
            not executor.failures and "docker" in said.lower()
        )


class CWLScatterOperator(CWLStepOperator):
    """Shares the jobs of a scattered step out among tasks, if there are many."""

    def __init__(self, task_id: str, step: str, step_task_id: str, **kwargs: Any) -> None:
        """Say whose jobs they are.

        :param step_task_id: the task that has the step's name.
        :param kwargs: what any operator takes.
        """
        super().__init__(task_id=task_id, step=step, **kwargs)
        self.step_task_id = step_task_id

    def act(self, context: Context) -> Any:
        """Return the shares: none if the step's own task is to run all jobs."""
        from ..runs.steps import share_out_scatter

        layout, settings = self.layout(context), self.settings
        with self.acting(context, layout):
            run = self.run_in(context, layout)
            return share_out_scatter(
                run, str(self.step), self.step_task_id, settings.scatter_jobs_in_task, settings.scatter_tasks
            )


class CWLScatterJobsOperator(CWLScatterOperator):
    """Runs a share of the jobs of a scattered step."""

    def __init__(self, share: Any, **kwargs: Any) -> None:
        """Say which jobs they are.

        :param share: first number of the jobs, and the number after the last.
        :param kwargs: what `CWLScatterOperator` takes.
        """
        super().__init__(**kwargs)
        self.share = share

    def act(self, context: Context) -> None:
        """Run the jobs.

        :raises StepFailed: one failed.
        """
        from ..runs.steps import run_scatter_share

        job = self.reported_job(context)
        layout = RunLayout(Path(job["tmp_folder"]))
        with held_folder(layout):
            self.wait_for_room(layout.folder, Path(job["outputs_folder"]))
        with self.acting(context, layout), self.step_executor() as executor:
            run_scatter_share(
                self.run_in(context, layout), str(self.step), self.step_task_id, list(self.share), executor
            )


class CWLJobGatherer(CWLOperator):
    """Collects the outputs of a run."""

    def __init__(self, task_id: str = GATHERER, **kwargs: Any) -> None:
        """Give the task its name.

        :param kwargs: what any operator takes.
        """
        super().__init__(task_id=task_id, **kwargs)

    def act(self, context: Context) -> str:
        """Move the outputs to their folder, and return the path of the file that reports them."""
        from ..runs.outputs import collect_run

        job = self.reported_job(context)
        layout, outputs_folder = RunLayout(Path(job["tmp_folder"])), Path(job["outputs_folder"])
        with self.acting(context, layout):
            own = outputs_folder == self.cwl_dag.folders(context["run_id"], {})[1]
            about = {
                "run": {"dag_id": self.cwl_dag.dag_id, "run_id": str(context["run_id"])},
                "document": self.cwl_dag.packed_document(),
                "job": {name: value for name, value in job.items() if name not in FOLDERS},
            }
            outputs, report = collect_run(self.run_in(context, layout), outputs_folder, own, about)
        text = json.dumps(outputs)
        if len(text) <= LONGEST_RESULTS:
            context["ti"].xcom_push(key=RESULTS, value=read_results(text))
        else:
            self.log.warning("The outputs are too many to be pushed: only %s lists them", report)
        if not self.settings.keep_tmp_data:
            shutil.rmtree(layout.folder, ignore_errors=True)
        return report


def read_results(text: str) -> Any:
    """Return outputs as Airflow takes them: of JSON's own types, and with no number of more than 64 bits.

    A larger whole number is a ``double``, as it must be in CWL. What is too large for that, or no number, becomes text.
    """

    def whole(digits: str) -> int | float | str:
        if int(digits).bit_length() < 64:
            return int(digits)
        return number if math.isfinite(number := float(digits)) else digits

    return json.loads(text, parse_int=whole, parse_constant=str)


#: By these tasks a run of a CWL document is known.
OPERATORS = frozenset(
    each.__name__
    for each in (CWLJobDispatcher, CWLStepOperator, CWLScatterOperator, CWLScatterJobsOperator, CWLJobGatherer)
)
