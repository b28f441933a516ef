"""One run of a document, a task at a time. Between tasks there is only JSON in the run's folder.

=================  =====================================================
``job.json``       the inputs as plain JSON, with the run's folders
``inputs.json``    its inputs as cwltool takes them
``overrides.json`` what the job says under ``cwltool:overrides``
``steps/``         outputs and status of each step
``jobs/``          the same of the jobs of scattered steps
``outputs/``       the files of both
``fetched/``       inputs that came over HTTP
``scratch/``       what a task needs while it runs
``containers/``    identifiers of the containers that it runs, by host
=================  =====================================================
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import io
import math
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from cwltool.context import RuntimeContext
from cwltool.errors import WorkflowException
from cwltool.executors import JobExecutor
from cwltool.load_tool import jobloader_id_name, jobloaderctx, resolve_overrides
from cwltool.main import init_job_order
from cwltool.mutation import MutationManager
from cwltool.process import relocateOutputs, shortname
from cwltool.utils import WorkflowStateItem, visit_class
from cwltool.workflow_job import object_from_state
from ruamel.yaml.comments import CommentedMap
from schema_salad.ref_resolver import Loader, file_uri
from schema_salad.sourceline import cmap

from ..documents import load as documents
from ..documents import plan as plans
from ..gate import Gate, Refused
from ..gate.hooks import Access, Context, Destination, fetcher
from ..gate.job import FOLDERS, check_code, check_job
from ..gate.objects import check_names, drop_null, files, is_remote, local_path
from ..gate.outputs import strip_tree
from . import cwl_json as state
from . import job_input as jobs
from .executor import remove_containers, stop
from .folder import CONTAINERS
from .step_workflow import Jobs, StepByStep

REQUIREMENTS = "https://w3id.org/cwl/cwl#requirements"
OVERRIDES = "http://commonwl.org/cwltool#overrides"
TOOL = "https://w3id.org/cwl/cwl#tool"


class Run:
    """One run of a document."""

    def __init__(
        self,
        source: str,
        folder: Path,
        gate: Gate,
        cwltool: Mapping[str, Any],
        engine: str = "docker",
        documents_folder: Path | None = None,
    ) -> None:
        """Note what runs where.

        :param source: path or URL of a document that was checked before, with ``#name`` for one process of several.
        :param folder: where the run keeps its state and intermediate data.
        :param gate: says what it may read and write.
        :param cwltool: options of cwltool by name, and ``javascript_socket`` (see `javascript.use`).
        :param engine: the command that removes containers.
        :param documents_folder: where documents that were read are kept.
        """
        self.source = source
        self.folder = folder
        self._gate = gate
        self._cwltool = cwltool
        self._engine = engine
        self._documents_folder = documents_folder
        self._containers: Path | None = None

    def _load(self, part: str) -> Any:
        file = self.folder / "overrides.json"
        overrides = state.load(file) if file.exists() else ()
        return documents.load(
            self.source, self._gate, self._cwltool, overrides, validate=False, part=part, folder=self._documents_folder
        ).process

    def begin(self, job: Any, base: str, code_allowed: bool = False) -> dict[str, Any]:
        """Normalise the job as cwltool does and keep it as the inputs of the run.

        :param job: the job, or path or URL of its file.
        :param base: folder to which relative paths of a job refer that is no file.
        :param code_allowed: whether who gives the job may add documents: then it may change this one.
        :returns: the inputs as plain JSON.
        :raises Refused: it names what the run may not read or write, or changes the document.
        :raises ValueError: an input is missing or misspelt.
        :raises FileNotFoundError: a file of the job is not there.
        :raises cwltool.errors.WorkflowException: what else is wrong with it.
        """
        try:
            return self._begin(job, base, code_allowed)
        except (RecursionError, StopIteration) as error:
            raise ValueError(f"The job is empty, nested too deep, or in itself ({type(error).__name__}).") from error

    def _begin(self, job: Any, base: str, code_allowed: bool) -> dict[str, Any]:
        check_job(job, self._gate, base, code_allowed)
        # No $schemas: they describe documents.
        fetches = fetcher(self._gate, documents=False)
        loader = Loader(copy.copy(jobloaderctx), fetcher_constructor=fetches, skip_schemas=True)
        uri = file_uri(base)
        if isinstance(job, str):
            path = job if "://" in job else os.path.join(base, job)
            if "://" not in path and not os.path.isfile(path):
                raise FileNotFoundError(f"The job's file {path} is not there.")
            base, uri = os.path.dirname(path), documents.locate(path)
            resolved = _resolved(functools.partial(loader.resolve_ref, uri))
        elif isinstance(job, Mapping):
            job = copy.deepcopy(dict(job))
            drop_null(job)
            written = cmap(state.as_written(job))
            resolved = _resolved(functools.partial(loader.resolve_all, written, file_uri(base) + "/"))
        else:
            raise ValueError(f"'job' must be an object or the path of a file, not {job!r}.")
        if not isinstance(resolved, MutableMapping):
            raise ValueError("The job must be an object with the inputs by name.")
        for name in resolved:
            if not isinstance(name, str):
                raise ValueError(f"The job gives {name!r}, which is no name of an input: put it in quotes.")
        if isinstance(job, str) and is_remote(job) and (named := sorted({*FOLDERS} & resolved.keys())):
            raise Refused(f"'{named[0]}' in a job that is fetched comes too late: give it in a job of this host.")
        for name in (jobloader_id_name, *FOLDERS, TOOL):
            resolved.pop(name, None)
        check_code(resolved, code_allowed)
        if OVERRIDES in resolved:
            overrides = resolve_overrides(resolved, uri, documents.locate(self.source).partition("#")[0])
            del resolved[OVERRIDES]
            state.dump(overrides, self.folder / "overrides.json")
        process = self._load(plans.FIRST)
        parameters = [{**parameter, "id": shortname(parameter["id"])} for parameter in process.tool["inputs"]]
        jobs.check_names(resolved, parameters)
        given = {parameter["id"]: resolved.get(parameter["id"]) for parameter in parameters}
        self._check(given)
        arguments = argparse.Namespace(workflow=self.source, tool_help=False)
        access = functools.partial(Access, self._gate)
        order = init_job_order(
            resolved, arguments, process, loader, io.StringIO(), make_fs_access=access, input_basedir=base
        )
        inputs = dict(order)
        if isinstance(process, StepByStep):
            with self._scratch(plans.FIRST) as context:
                context.toplevel = True  # it looks for secondary files then
                inputs = dict(process._init_job(order, context).job)
            if REQUIREMENTS in order:
                inputs[REQUIREMENTS] = order[REQUIREMENTS]
        self._check(inputs)  # with what the document adds
        state.dump(inputs, self.folder / "inputs.json")
        return inputs

    def _check(self, inputs: Mapping[str, Any]) -> None:
        for name, value in inputs.items():
            check_names(value, f"Input '{name}'")
        jobs.check_locations(inputs, self._gate)

    def step(self, step: str | None, name: str, executor: JobExecutor) -> str:
        """Run a step, or the tool if the document is one, and keep its outputs.

        Jobs of the step that ran before on their own (`share`) are not run again.

        :param step: the step's name in the workflow; none if the document is a tool.
        :param name: the id of its task.
        :returns: ``success`` or ``skipped``.
        :raises cwltool.errors.WorkflowException: it failed.
        """
        began = time.monotonic()
        known: dict[int, Any] = {}
        for file in (self.folder / "jobs" / name).glob("*.json"):
            known |= {int(number): done for number, done in state.load(file).items()}
        outputs, status = self._run(step, name, f"step-{name}", executor, Jobs(range(10**9), known) if known else None)
        disk = sum(size(self.folder / "outputs" / each) for each in (f"step-{name}", f"jobs-{name}"))
        report = {"status": status, "outputs": outputs, "disk": disk, "seconds": round(time.monotonic() - began, 3)}
        state.dump(report, self.report(name))
        return status

    def share_out(self, step: str, name: str, in_task: int, tasks: int) -> list[list[int]]:
        """Share the jobs of a scattered step out among tasks.

        :param in_task: up to so many jobs are left to the step's own task.
        :param tasks: number of tasks at most.
        :returns: first number of each share and the number after its last.
        """
        for folder in (self.folder / "jobs" / name, self.folder / "outputs" / f"jobs-{name}"):
            shutil.rmtree(folder, ignore_errors=True)
        counted = Jobs()
        self._run(step, name, f"count-{name}", _Uncounted(), counted)
        if counted.total <= in_task:
            return []
        each = math.ceil(counted.total / tasks)
        return [[first, min(first + each, counted.total)] for first in range(0, counted.total, each)]

    def share(self, step: str, name: str, share: list[int], executor: JobExecutor) -> None:
        """Run a share of the jobs of a scattered step, and keep their outputs.

        :param share: what `share_out` returned.
        """
        wanted = Jobs(range(*share))
        place = f"jobs-{name}/{share[0]}"
        outputs, _ = self._run(step, name, place, executor, wanted, only_jobs=True)
        state.dump(outputs, self.folder / "jobs" / name / f"{share[0]}.json")

    def _run(
        self,
        step: str | None,
        name: str,
        place: str,
        executor: JobExecutor,
        some: Jobs | None = None,
        only_jobs: bool = False,
    ) -> tuple[Any, str]:
        # A place begins with its kind: a step may be called like another one's jobs.
        self.report(name).unlink(missing_ok=True)
        inputs = state.load(self.folder / "inputs.json")
        order = inputs
        process = self._load(step or plans.FIRST)
        if step is not None:
            process.state = self._state(process)
            process.only = step
            process.jobs = some
            process.only_jobs = only_jobs
            order = {REQUIREMENTS: inputs[REQUIREMENTS]} if REQUIREMENTS in inputs else {}
        with self._scratch(place) as context:
            outdir = self.folder / "outputs" / place
            shutil.rmtree(outdir, ignore_errors=True)
            outdir.mkdir(parents=True)
            # Left where the jobs made them: moving would change what the next step sees of them.
            context.tmp_outdir_prefix = f"{outdir}/"
            outputs, status = executor(process, CommentedMap(order), context)
        if status not in ("success", "skipped"):
            raise WorkflowException(f"ended with {status}: see above, or clear the steps before it")
        # cwltool's own count of who may still write a file; it means nothing in another process.
        visit_class(outputs, ("File",), MutationManager().unset_generation)
        return outputs, status

    def end(self, outdir: Path) -> dict[str, Any]:
        """Collect the outputs of the run.

        Until this has succeeded the run's own files stay where they are.

        :param outdir: where they go.
        :returns: the outputs.
        :raises Refused: the run may not write there, or an output is not its own to give.
        """
        self._gate.write(outdir, "'outputs_folder'")
        reports = {file.stem: state.load(file) for file in (self.folder / "steps").glob("*.json")}
        process = self._load(plans.LAST)
        if isinstance(process, StepByStep):
            several = bool(process.get_requirement("MultipleInputFeatureRequirement")[0])
            outputs = object_from_state(
                self._state(process), process.tool["outputs"], True, several, "outputSource", incomplete=True
            )
        else:
            (report,) = reports.values()
            outputs = report["outputs"]
        with self._scratch(plans.LAST) as context:
            for name, value in outputs.items():
                check_names(value, f"Output '{name}'")
            below = Path(os.path.realpath(self.folder))
            scratch = below / "scratch" / plans.LAST
            visit_class(outputs, ("Directory",), _forget_listing)
            links: dict[str, str] = {}
            for kind in ("Directory", "File"):  # a file may be in one of the folders
                visit_class(outputs, (kind,), functools.partial(_link, self._gate, below, scratch, links))
            outdir.mkdir(parents=True, exist_ok=True)
            outputs = relocateOutputs(
                outputs, os.path.realpath(outdir), [str(scratch)], "move", context.make_fs_access(""), True,
                path_mapper=functools.partial(Destination, self._gate),
            )  # fmt: skip
        for name, value in outputs.items():
            for file in files(value):
                strip_tree(local_path(file) or "", f"Output '{name}'")
        visit_class(outputs, ("File", "Directory"), _as_cwltool_prints)
        return dict(outputs)

    def stop(self) -> None:
        """End all processes and containers of the task that acts on this run."""
        stop(self._containers, self._engine)

    def statistics(self) -> dict[str, Any]:
        """Return what each step took: disk in bytes, time in seconds."""
        reports = {file.stem: state.load(file) for file in (self.folder / "steps").glob("*.json")}
        return {
            "steps": {
                name: {"status": report["status"], "disk": report["disk"], "seconds": report["seconds"]}
                for name, report in sorted(reports.items())
            }
        }

    def report(self, name: str) -> Path:
        """Return the file with the outputs of a task."""
        return self.folder / "steps" / f"{name}.json"

    @contextlib.contextmanager
    def _scratch(self, name: str) -> Iterator[Context]:
        """Make cwltool's settings, with folders of the task's own that are gone afterwards."""
        scratch = self.folder / "scratch" / name
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        # An earlier try that was killed may have left some. Not in scratch, which is gone when they are to be found.
        # By host: only this one can say that they are gone.
        self._containers = self.folder / CONTAINERS / socket.gethostname() / name
        remove_containers(self._containers, self._engine)
        self._containers.mkdir(parents=True, exist_ok=True)
        context = Context(self._cwltool, self._gate)
        context.basedir = str(self.folder)
        context.tmpdir_prefix = f"{scratch}/tmp-"
        context.tmp_outdir_prefix = f"{scratch}/out-"
        context.cidfile_dir = str(self._containers)
        try:
            yield context
            shutil.rmtree(self._containers, ignore_errors=True)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _state(self, process: StepByStep) -> dict[str, WorkflowStateItem | None]:
        inputs = state.load(self.folder / "inputs.json")
        values: dict[str, WorkflowStateItem | None] = {}
        for parameter in process.tool["inputs"]:
            value = inputs.get(shortname(parameter["id"]), parameter.get("default"))
            values[parameter["id"]] = WorkflowStateItem(parameter, value, "success")
        ids = plans.task_ids(process.step_names)
        for step in process.steps:
            file = self.report(ids[shortname(step.tool["id"])])
            found = state.load(file) if file.exists() else None
            for parameter in step.tool["outputs"]:
                value = found["outputs"].get(shortname(parameter["id"])) if found else None
                values[parameter["id"]] = WorkflowStateItem(parameter, value, found["status"]) if found else None
        return values


def _resolved(resolve: Callable[..., tuple[Any, Any]]) -> Any:
    """Return a job with what it includes.

    :raises ValueError: schema-salad failed at what it is.
    """
    try:
        return resolve(checklinks=False)[0]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"The job cannot be read: {error}") from error


class _Uncounted(JobExecutor):  # type: ignore[misc]  # cwltool is typed in part only
    """Runs nothing: for making jobs only to count them."""

    def run_jobs(self, process: Any, job_order_object: Any, logger: Any, runtime_context: RuntimeContext) -> None:
        for _ in process.job(job_order_object, self.output_callback, runtime_context):
            raise AssertionError("a job was to be run while they were counted")


def _link(gate: Gate, below: Path, scratch: Path, links: dict[str, str], value: dict[str, Any]) -> None:
    """Give a file of the run a second name in `scratch`, to be moved: the first one stays for another try.

    :param below: the run's folder.
    :param links: the second names so far; a file that is several outputs, or in a folder that is one, stays one file.
    """
    path = local_path(value)
    real = Path(os.path.realpath(path)) if path else None
    if not path or not real or scratch in real.parents or (below not in real.parents and not real.is_dir()):
        return  # relocateOutputs copies what is not the run's; but with a folder it replaces one that is there
    for known, link in links.items():
        if f"{real}/".startswith(f"{known}/"):
            _rebase(value, path, link + str(real)[len(known) :])
            return
    target = scratch / str(len(links)) / os.path.basename(path)
    # By their real paths, as cwltool tells files apart: one that was updated in place has several names.
    links[str(real)] = str(target)
    target.parent.mkdir()
    _link_all(gate, below, real, target, (real,))
    _rebase(value, path, str(target))


def _link_all(gate: Gate, below: Path, real: Path, target: Path, inside: tuple[Path, ...]) -> None:
    """Link a file or a folder with all that is in it, and what links in it lead to.

    :param inside: the real paths of the folders that it is in, as the links go.
    :raises Refused: a link leads to what the run may not read, or back into its own folder.
    """
    if real.is_dir():
        target.mkdir()
        for entry in real.iterdir():
            leads_to = Path(os.path.realpath(entry))
            if entry.is_symlink():
                gate.read(entry, f"Output '{entry.name}'")
                if leads_to in inside:
                    raise Refused(f"Output '{entry.name}': the link {entry} leads back into its own folder.")
            if not leads_to.exists():
                # It would lead somewhere where the outputs go.
                raise Refused(f"Output '{entry.name}': the link {entry} leads nowhere.")
            _link_all(gate, below, leads_to, target / entry.name, (*inside, leads_to))
        return
    try:
        if below not in real.parents:  # an input that is passed on stays the user's own
            raise OSError
        os.link(real, target)
    except OSError:  # or of another owner, where the kernel protects hard links
        shutil.copy2(real, target)


def _forget_listing(value: dict[str, Any]) -> None:
    """Let cwltool list what is in a folder: a tool may have listed a part of it, and all of it becomes output."""
    path = local_path(value)
    if path and os.path.isdir(path):
        value.pop("listing", None)


def _rebase(value: Any, old: str, new: str) -> None:
    """Change the path of a file or folder."""
    path = local_path(value)
    if path and f"{path}/".startswith(f"{old}/"):
        value["location"] = file_uri(new + path[len(old) :])
        value.pop("path", None)


def _as_cwltool_prints(value: dict[str, Any]) -> None:
    for name in ("path", "nameext", "nameroot", "dirname"):
        value.pop(name, None)
    if path := local_path(value):
        value["path"] = path


def size(folder: Path) -> int:
    """Return the size of all files of a folder in bytes, links not followed."""
    return sum(entry.lstat().st_size for entry in folder.rglob("*") if not entry.is_dir())
