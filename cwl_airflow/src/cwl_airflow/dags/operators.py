"""The tasks of a CWL document. They know their context, XCom and files, and nothing of Airflow's database."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import re
import shutil
import sys
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.exceptions import AirflowException, AirflowSkipException, AirflowTaskTimeout
from airflow.models import BaseOperator

from ..callers import Caller
from ..documents import plan as plans
from ..environment import leave_environment
from ..files import replace
from ..gate.places import ATTACHMENTS, LOCK
from ..runs import job_input as jobs
from ..runs.folder import FAILED, mark
from .settings import Settings

if TYPE_CHECKING:
    from ..gate import Gate
    from ..runs.executor import Failure
    from ..runs.run import Run

#: The dispatcher's report.
REPORT = "job.json"
#: Under which keys a failed task pushes its error in a line, and the last task the outputs of the run.
ERROR, RESULTS = "error", "results"
#: Outputs that are longer as JSON are not pushed, in bytes: a database takes no more than some MiB at once.
LONGEST_RESULTS = 4 * 2**20


class StepFailed(AirflowException):  # type: ignore[misc]
    """A task failed; the message says in one line which, and why."""


class CWLOperator(BaseOperator):  # type: ignore[misc]  # Airflow is only typed in part
    """What the tasks of a document have in common."""

    def __init__(self, **kwargs: Any) -> None:
        """Make the task; a step that was skipped does not stop those after it."""
        super().__init__(**{"trigger_rule": "none_failed", **kwargs})
        self._run: Run | None = None

    def execute(self, context: Any) -> Any:
        """Do what the task is for; if it fails, push why, for the reports of the run.

        :raises StepFailed: the task failed.
        """
        leave_environment()
        try:
            return self.act(context)
        except AirflowSkipException:
            raise
        except (Exception, AirflowTaskTimeout) as error:
            try:
                context["ti"].xcom_push(key=ERROR, value=self.error_line(error))
            except Exception:  # the first error is the one that matters
                self.log.warning("The error could not be pushed", exc_info=True)
            raise

    def act(self, context: Any) -> Any:
        """Do what the task is for."""
        raise NotImplementedError

    def error_line(self, error: BaseException) -> str:
        """Say in one line which task failed, and why."""
        said = " ".join(str(error).split()) if isinstance(error, StepFailed) else last_line(error)
        name = getattr(self, "step", None) or self.task_id
        return shortened(said if said.startswith((f"{name}:", f"{self.task_id}:")) else f"{name}: {said}", 600)

    @cached_property
    def settings(self) -> Settings:
        """The settings of the DAG."""
        return Settings.of(self.dag.default_args.get("cwl") or {})

    def gate_of(self, context: Any, folder: Path | None = None) -> Gate:
        """Return what the run may read and write.

        :param folder: with its intermediate data.
        """
        reads = Caller.of(context["dag_run"].conf).reads
        return self.settings.places.gate(self.dag.dag_id, folder, reads)

    def run_of(self, context: Any, folder: Path) -> Run:
        """Return the run with a folder."""
        from ..runs.run import Run

        settings = self.settings
        gate = self.gate_of(context, folder)
        gate.write(folder, "'tmp_folder'", between_steps=True)
        self._run = Run(
            self.dag.source, folder, gate, settings.cwltool, settings.container_command, settings.pickle_folder
        )
        return self._run

    def begin(self, context: Any, folder: Path, job: Any) -> dict[str, Any]:
        """Begin the run with a job, and return its inputs."""
        documents = Caller.of(context["dag_run"].conf).documents
        return self.run_of(context, folder).begin(job, str(self.settings.inputs_folder), documents)

    def folder_of(self, context: Any) -> Path:
        """Return the run's folder, as the dispatcher reported it."""
        return Path(self.job_of(context)["tmp_folder"])

    def job_of(self, context: Any) -> dict[str, Any]:
        """Return the run's job with its folders, as the dispatcher reported it."""
        dispatcher = self.dag.dispatcher.task_id
        report = context["ti"].xcom_pull(task_ids=dispatcher)
        try:
            text = Path(report).read_text(encoding="utf-8")
            job: dict[str, Any] = json.loads(text)
            folder = Path(job["tmp_folder"])
        except (OSError, TypeError, ValueError, KeyError) as error:
            raise StepFailed(
                f"The data of this run is gone ({report or 'no report'}): clear {dispatcher}, with all tasks after it."
            ) from error
        if Path(report) != folder / REPORT:
            # A dispatcher of the user's own: the first task that comes here does the rest, for each of its reports.
            begun = folder / f"begun-{hashlib.sha256(text.encode()).hexdigest()}"
            with open(folder / "begin.lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not begun.exists():
                    self.begin(context, folder, job)
                    begun.touch()
        return job

    @contextlib.contextmanager
    def acting(self, folder: Path) -> Iterator[None]:
        """Show what cwltool says, keep a note of a failure, and put it into one line."""
        cwltool = logging.getLogger("cwltool")
        handlers, stderr = cwltool.handlers[:], sys.stderr
        cwltool.handlers = logging.getLogger("airflow.task").handlers[:]
        cwltool.setLevel(logging.WARNING if self.settings.cwltool.get("quiet") else logging.INFO)
        sys.stderr = sys.__stderr__  # cwltool hands it to processes: it must be a real file
        try:
            (folder / FAILED).unlink(missing_ok=True)
            # Held while the task runs: nobody else removes the folder then.
            with open(folder / LOCK, "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH)
                yield
        except AirflowSkipException:
            raise
        except BaseException as error:
            mark(folder)
            self.stop()
            if isinstance(error, AirflowException) or not isinstance(error, Exception):
                raise
            # What cwltool and this package raise says all; of anything else one wants to know where it came from.
            expected = isinstance(error, (ValueError, OSError)) or type(error).__module__.startswith(
                ("cwltool.", "schema_salad.", "cwl_airflow.gate.")
            )
            self.log.error("%s", error, exc_info=not expected)
            raise StepFailed(f"{self.task_id}: {last_line(error)}") from None
        finally:
            sys.stderr = stderr
            cwltool.handlers = handlers

    def stop(self) -> None:
        """End what this task started."""
        if self._run is not None:
            self._run.stop()

    def on_kill(self) -> None:
        """End what this task started (called by Airflow when the task is to end)."""
        self.stop()


class CWLJobDispatcher(CWLOperator):
    """Takes the job of a run: checks it, and keeps it where the steps find it."""

    def __init__(self, task_id: str = plans.FIRST, **kwargs: Any) -> None:
        """Make the task."""
        super().__init__(task_id=task_id, **kwargs)

    def act(self, context: Any) -> str:
        """Check the job, and return the path of the file that reports it.

        :raises ValueError: the job has none or a misspelt input.
        """
        settings = self.settings
        job = jobs.job_of(context["dag_run"].conf, self.dag.inputs)
        given = jobs.named_folders(job, str(settings.inputs_folder), self.gate_of(context))
        folder, outputs_folder = self.dag.folders(context["run_id"], given)
        jobs.check_writable("tmp_folder", str(folder))
        jobs.check_writable("outputs_folder", str(outputs_folder))
        prune(settings.tmp_folder, settings.keep_failed_days)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        with self.acting(folder):
            inputs = self.begin(context, folder, job)
        report = {**inputs, "tmp_folder": str(folder), "outputs_folder": str(outputs_folder)}
        replace(folder / REPORT, json.dumps(report))
        return str(folder / REPORT)


class CWLStepOperator(CWLOperator):
    """Runs a step, or the whole document where it is a tool."""

    def __init__(self, task_id: str, step: str | None = None, **kwargs: Any) -> None:
        """Make the task.

        :param step: the step's name in the workflow; none if the document is a tool.
        """
        super().__init__(task_id=task_id, **kwargs)
        self.step = step

    def act(self, context: Any) -> Any:
        """Run the step, and return the path of the file that reports its outputs.

        :raises StepFailed: it failed; the log has the tool's command and its last lines.
        :raises AirflowSkipException: it is not to run this time.
        """
        folder = self.folder_of(context)
        with self.acting(folder), self.reporting() as executor:
            run = self.run_of(context, folder)
            status = run.step(self.step, self.task_id, executor)
        report = str(run.report(self.task_id))
        if status == "skipped":
            context["ti"].xcom_push(key="return_value", value=report)
            raise AirflowSkipException("The step's condition is false.")
        return report

    @contextlib.contextmanager
    def reporting(self) -> Iterator[Any]:
        """Make what runs the jobs of the step, and say how they failed."""
        from ..runs.executor import Executor

        executor = Executor(*self.settings.granted(self.queue))
        try:
            yield executor
        except Exception as error:
            if not executor.failures:
                raise
            for failure in executor.failures:
                self.log.error("%s", described(failure))
            failure = executor.failures[0]
            said = f": {failure.lines[-1]}" if failure.lines else ""
            name = self.step or self.task_id
            raise StepFailed(f"{name}: '{shortened(failure.command)}' {failure.reason}{said}") from error


class CWLScatterOperator(CWLStepOperator):
    """Shares the jobs of a scattered step out among tasks, if there are many."""

    def __init__(self, task_id: str, step: str, step_task_id: str, **kwargs: Any) -> None:
        """Make the task.

        :param step_task_id: the task that has the step's name.
        """
        super().__init__(task_id=task_id, step=step, **kwargs)
        self.step_task_id = step_task_id

    def act(self, context: Any) -> Any:
        """Return the shares: none if the step's own task is to run all jobs."""
        settings = self.settings
        folder = self.folder_of(context)
        with self.acting(folder):
            run = self.run_of(context, folder)
            return run.share_out(
                str(self.step), self.step_task_id, settings.scatter_jobs_in_task, settings.scatter_tasks
            )


class CWLScatterJobsOperator(CWLScatterOperator):
    """Runs a share of the jobs of a scattered step."""

    def __init__(self, share: Any, **kwargs: Any) -> None:
        """Make the task.

        :param share: first number of the jobs, and the number after the last.
        """
        super().__init__(**kwargs)
        self.share = share

    def act(self, context: Any) -> None:
        """Run the jobs.

        :raises StepFailed: one failed.
        """
        folder = self.folder_of(context)
        with self.acting(folder), self.reporting() as executor:
            self.run_of(context, folder).share(str(self.step), self.step_task_id, list(self.share), executor)


class CWLJobGatherer(CWLOperator):
    """Collects the outputs of a run."""

    def __init__(self, task_id: str = plans.LAST, **kwargs: Any) -> None:
        """Make the task."""
        super().__init__(task_id=task_id, **kwargs)

    def act(self, context: Any) -> str:
        """Move the outputs to their folder, and return the path of the file that reports them."""
        job = self.job_of(context)
        folder, outputs_folder = Path(job["tmp_folder"]), Path(job["outputs_folder"])
        with self.acting(folder):
            own = outputs_folder == self.dag.folders(context["run_id"], {})[1]
            outputs, report = gather(self.run_of(context, folder), outputs_folder, own)
        text = json.dumps(outputs)
        if len(text) <= LONGEST_RESULTS:
            context["ti"].xcom_push(key=RESULTS, value=json.loads(text))  # of JSON's own types
        else:
            self.log.warning("The outputs are too many to be pushed: only %s lists them", report)
        if not self.settings.keep_tmp_data:
            shutil.rmtree(folder, ignore_errors=True)
        return report


#: By these tasks a run of a CWL document is known.
OPERATORS = frozenset(
    each.__name__
    for each in (CWLJobDispatcher, CWLStepOperator, CWLScatterOperator, CWLScatterJobsOperator, CWLJobGatherer)
)


def gather(run: Run, folder: Path, own: bool) -> tuple[dict[str, Any], str]:
    """Move the outputs of a run to a folder.

    :param folder: where they go.
    :param own: whether the folder is the run's own: what an earlier try left there is removed.
    :returns: the outputs, and the path of the file that reports them.
    """
    if own:
        shutil.rmtree(folder, ignore_errors=True)
    outputs = run.end(folder)
    report = folder / plans.REPORT
    replace(report, json.dumps({**outputs, plans.STATISTICS: run.statistics()}, indent=2))
    return outputs, str(report)


def prune(folder: Path, days: float) -> None:
    """Remove the data of runs that failed some time ago and were not tried again.

    :param folder: where the folders of the runs are.
    :param days: for how many days they are kept.
    """
    for note in folder.glob(f"*/*/{FAILED}"):
        if note.parent.parent.name == ATTACHMENTS:
            continue
        with contextlib.suppress(OSError):
            # An hour at least: the task may be about to be tried again.
            if time.time() - note.stat().st_mtime < max(days * 86400, 3600):
                continue
            with open(note.parent / LOCK, "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # or one of its tasks runs
                shutil.rmtree(note.parent, ignore_errors=True)


def described(failure: Failure) -> str:
    """Say how a job failed: its command and the last lines it wrote come first."""
    lines = "\n".join(failure.lines) or "(it wrote nothing)"
    return f"{failure.name} failed ({failure.reason})\n{failure.command}\n{lines}"


def last_line(error: BaseException) -> str:
    """Return in one line what is wrong: cwltool puts it after where it was, and the object in question after it."""
    text = re.sub(r"^\S+:\d+:\d+:", "", str(error), flags=re.MULTILINE)
    text = " ".join(text.partition("{")[0].split() or text.split())
    return shortened(text, 400) or type(error).__name__


def shortened(text: str, length: int = 200) -> str:
    """Return a text with its middle left out if it is long."""
    return text if len(text) <= length else f"{text[: length // 2]} … {text[-length // 2 :]}"
