"""Run the jobs of a step within what its queue grants, and end them all when the task ends."""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
import os
import re
import shlex
import threading
from dataclasses import dataclass
from typing import IO, Any, cast

from cwltool.command_line_tool import ExpressionJob
from cwltool.context import RuntimeContext
from cwltool.errors import WorkflowException
from cwltool.executors import JobExecutor
from cwltool.job import ContainerCommandLineJob, JobBase
from cwltool.process import Process

from ..gate import Refused
from ..gate.hooks import Context, OutputAccess, check_streams, checked_callback
from ..gate.places import open_regular
from ..javascript.thrown import thrown_error
from .images import ImageNotPulled, pull_with_words
from .limits import KILLED, Resources, capped_resources, limit_container, runs_one_job
from .processes import adopt_orphans
from .step_workflow import OutputCallback
from .usage import JobUsage, new_usage

_logger = logging.getLogger("cwltool")

#: Lines of a tool's output that are shown again when it fails.
LAST_LINES = 20
#: Lines of a tool's output that go into the log of its task.
LOGGED_LINES = 10_000


@dataclass(frozen=True)
class JobFailure:
    """How a job failed: its command, the last lines it wrote, and the reason in a line."""

    name: str
    command: str
    lines: list[str]
    reason: str
    #: Whether it ran in a container.
    contained: bool = False
    #: Whether the tool ended well, and what is wrong are its outputs.
    ended_well: bool = False


class _FailureReasons(logging.Handler):
    """Remembers what cwltool says of jobs: it hands over no exit status."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.by_job: dict[str, str] = {}
        #: How those ended that did not end well: cwltool says next which outputs are not there.
        self.ended: dict[str, str] = {}
        #: Of those that took too long: cwltool says next by which signal they ended.
        self.late: dict[str, str] = {}
        #: What was wrong with an expression, or with a command that could not be run, by the thread of the job.
        self.by_thread: dict[int | None, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if not isinstance(record.args, tuple) or not record.args:
            return
        if str(record.msg).startswith("Failed to evaluate expression"):
            self.by_thread[record.thread] = thrown_error(str(record.args[0]))
        elif str(record.msg).startswith("'%s' not found"):
            self.by_thread[record.thread] = f"cannot be run: there is no program '{record.args[0]}'"
        elif str(record.msg).startswith("Exception while running job"):
            self.by_thread[record.thread] = f"cannot be run: {record.args[0]}"
        # Not the outputs in JSON, which cwltool shows after what is wrong with them.
        said = record.getMessage().partition("\n in {")[0]
        found = re.match(r"\[job .*?\] (?!completed)(?:was )?(.*)", said, re.DOTALL)
        lines = [line.strip() for line in found[1].splitlines() if line.strip()] if found else []
        if not lines or not isinstance(record.args[0], str):
            return
        if late := re.match(r"exceeded time limit of (\d+) seconds", lines[-1]):
            self.late[record.args[0]] = f"took longer than the {late[1]} s that its document gives it (ToolTimeLimit)"
        if re.match("exited with status:|terminated by signal:", lines[-1]):
            self.ended[record.args[0]] = lines[-1].replace("exited with status:", "exit status")
        self.by_job[record.args[0]] = lines[-1]

    def reason(self, job: str) -> str:
        """Return why a job failed that ran in this thread."""
        said = self.late.get(job) or self.ended.get(job) or self.by_job.get(job)
        return said or self.by_thread.get(threading.get_ident(), "failed")

    def ended_well(self, job: str) -> bool:
        """Tell whether the tool of a job that failed ended well."""
        return job in self.by_job and job not in self.ended


class _ToolOutput:
    """What a tool writes to its streams where the document does not catch them, line by line."""

    def __init__(self, name: str) -> None:
        self.lines: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        self._name = name
        source, sink = os.pipe()
        self.stream = os.fdopen(sink, "wb", buffering=0)
        self._thread = threading.Thread(target=self._read, args=(source,), daemon=True)
        self._thread.start()

    def _read(self, source: int) -> None:
        with os.fdopen(source, encoding="utf-8", errors="replace") as stream:
            for number, line in enumerate(stream):
                self.lines.append(line.rstrip()[:2000])
                if number < LOGGED_LINES:
                    _logger.info("[%s] %s", self._name, self.lines[-1])

    def close(self) -> None:
        """Wait for the last lines; not for a process that the tool left with the stream open."""
        self.stream.close()
        self._thread.join(timeout=2)


class _KeptFolders(set[str]):
    """Takes no names: cwltool removes the folders that are noted, and those of a step stay until the run ends."""

    def add(self, _: str) -> None:
        pass


def _changed_condition(context: RuntimeContext) -> threading.Condition:
    """Return what is notified when a job has ended: cwltool makes it before it calls the executor."""
    if context.workflow_eval_lock is None:
        raise RuntimeError("The executor was not called by cwltool.")
    return context.workflow_eval_lock


def _needed_resources(job: Any) -> Resources:
    """Return what a job takes; an expression is evaluated on a core."""
    if isinstance(job, JobBase):
        return Resources(job.builder.resources["cores"], job.builder.resources["ram"])
    return Resources(1.0 if isinstance(job, ExpressionJob) else 0.0, 0.0)


class StepExecutor(JobExecutor):
    """Runs as many jobs at a time as fit into what is granted; one that alone needs more runs alone."""

    def __init__(self, cores: float, ram: float, limited: bool = True, capped: bool = False) -> None:
        """Say what is granted.

        :param cores: number of cores.
        :param ram: memory in MiB.
        :param limited: whether containers get no more than that.
        :param capped: whether jobs that ask for more run as if they asked for that.
        """
        super().__init__()
        self.output_dirs = _KeptFolders()
        self.granted = Resources(cores, ram)
        self._limited = limited
        self._capped = capped
        self._alone = True
        self.failures: list[JobFailure] = []
        #: What the jobs took, in the order in which they began.
        self.usages: list[JobUsage] = []
        self._reasons = _FailureReasons()
        self._pending: list[Any] = []
        self._running: dict[threading.Thread, Resources] = {}
        self._exception: BaseException | None = None
        self._directory_lock = threading.Lock()

    def run_jobs(
        self, process: Process, job_order_object: Any, logger: logging.Logger, runtime_context: RuntimeContext
    ) -> None:
        """Run the jobs of a process (called by cwltool)."""
        adopt_orphans()
        self._alone = runs_one_job(process)
        context = cast(Context, runtime_context)  # as `runs.run.CWLRun` makes it
        if self._capped:
            context.select_resources = functools.partial(capped_resources, self.granted)
        changed = _changed_condition(context)
        _logger.addHandler(self._reasons)
        try:
            with changed:
                for job in process.job(job_order_object, self.output_callback, runtime_context):
                    if job is not None:
                        self._add(job, context)
                    if self._has_given_up(context):
                        break
                    self._start(context)
                    if job is None:
                        if not self._running:
                            logger.error("Workflow cannot make any more progress.")
                            break
                        self._wait(changed)
                while self._pending or self._running:
                    if not self._has_given_up(context):
                        self._start(context)
                    if self._running:
                        self._wait(changed)
        finally:
            _logger.removeHandler(self._reasons)

    def _add(self, job: Any, context: Context) -> None:
        if isinstance(job, JobBase):
            job.builder = context.builder or job.builder
        self._pending.append(job)

    def _has_given_up(self, context: Context) -> bool:
        """After a failure start no more jobs, as cwltool does; those that run may end."""
        if self.failures and context.on_error == "stop":
            self._pending.clear()
            return True
        return False

    def _wait(self, changed: threading.Condition) -> None:
        # With a bound, as a signal's handler only runs between waits.
        changed.wait(timeout=1)
        if self._exception:
            raise self._exception

    def _start(self, context: Context) -> None:
        for job in list(self._pending):
            need = _needed_resources(job)
            cores = sum(each.cores for each in self._running.values())
            ram = sum(each.ram for each in self._running.values())
            fits = cores + need.cores <= self.granted.cores and ram + need.ram <= self.granted.ram
            if not fits and any((need.cores, need.ram)) and any((cores, ram)):
                continue
            self._pending.remove(job)
            thread = threading.Thread(target=self._run, args=(job, context), daemon=True)
            self._running[thread] = need
            thread.start()

    def _run(self, job: Any, context: Context) -> None:
        try:
            if isinstance(job, JobBase):
                self._run_tool(job, cast(Context, context.copy()))
            else:
                if isinstance(job, ExpressionJob):
                    self._watch_expression(job, context)
                job.run(context, self._directory_lock)
        except Exception as error:  # cwltool raises what its parts raise
            if isinstance(error.__cause__, ImageNotPulled):  # it adds what to do about engines that are not there
                error = error.__cause__
            if not isinstance(error, WorkflowException):
                _logger.exception("Job %s", getattr(job, "name", job))
            self._exception = error
        finally:
            changed = _changed_condition(context)
            with changed:
                del self._running[threading.current_thread()]
                changed.notify_all()

    def _watch_expression(self, job: ExpressionJob, context: Context) -> None:
        callback = cast(OutputCallback, job.output_callback)  # cwltool gives one

        def note(outputs: Any, status: str) -> None:
            if status != "success":
                said = self._reasons.by_thread.get(threading.get_ident(), "")
                lines = [said] if said else []
                self.failures.append(JobFailure("expression", str(job.script), lines, "could not be evaluated"))
            callback(outputs, status)

        job.output_callback = checked_callback(job, context.gate, note)

    def _run_tool(self, job: JobBase, context: Context) -> None:
        output = _ToolOutput(job.name)
        context.default_stdout = context.default_stderr = output.stream
        callback = cast(OutputCallback, job.output_callback)  # cwltool gives one
        check_streams(job)
        usage = new_usage(job)
        access = functools.partial(OutputAccess, context.gate, job)
        job.builder.make_fs_access = access  # type: ignore[assignment]  # cwltool only calls it

        def note(outputs: Any, status: str) -> None:
            if status != "success":
                output.close()
                failure = self._describe_failure(job, output, limits if limited else None)
                self.failures.append(failure)
                usage.note_failure(failure.reason, failure.lines)
            callback(outputs, status)

        job.output_callback = checked_callback(job, context.gate, note)
        usage.watch(job)
        self.usages.append(usage)
        pull_with_words(job)
        limits = self.granted.share(_needed_resources(job), self._alone)
        limited = self._limited and limit_container(job, limits)
        try:
            job.run(context, self._directory_lock)
        finally:
            output.close()

    def _caught_stderr(self, outdir: str, stderr: str) -> IO[bytes]:
        return open_regular(os.path.join(os.path.realpath(outdir), stderr), f"stderr '{stderr}'")

    def _describe_failure(self, job: JobBase, output: _ToolOutput, limits: Resources | None) -> JobFailure:
        lines = list(output.lines)
        if job.stderr and job.outdir:
            # A stream that the document catches; the tool may have put something else in its place.
            with contextlib.suppress(OSError, Refused), self._caught_stderr(job.outdir, job.stderr) as stream:
                lines += [line.decode(errors="replace").rstrip() for line in collections.deque(stream, LAST_LINES)]
        command = shlex.join(str(word) for word in job.command_line)
        reason = self._reasons.reason(job.name)
        if limits and KILLED in reason:
            reason += f" (killed; perhaps it took more than {limits.ram:.0f} MiB: ask for them with ramMin)"
        contained = isinstance(job, ContainerCommandLineJob)
        return JobFailure(job.name, command, lines, reason, contained, self._reasons.ended_well(job.name))
