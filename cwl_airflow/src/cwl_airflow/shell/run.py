"""Run one CWL document on this host through Airflow's REST API, as any run.

Its DAG stays with its runs, so that one that failed can be looked at and go on; the next run of the same document is
one of the same DAG. What nobody uses any more is tidied up with kept documents.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import pwd
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..documents.plan import OUTPUTS_REPORT, STATISTICS
from ..files import write_atomically
from ..gate import Gate, Refused
from ..gate.job import check_job
from ..gate.places import RUNNER
from ..rest import DeadlineExceeded, RestError, RunFailed, dag_path, run_page
from .host import Host
from .outputs import copy_outputs
from .placing import OUTER, make_folder
from .request import Request, key_of, name_dag

#: For how long Airflow may take to read a DAG file, in seconds.
READING = 600
DAG_FILE = """\
from cwl_airflow.extensions.cwldag import CWLDAG

dag = CWLDAG(
    dag_id={dag_id!r},
    workflow={workflow!r},
    is_paused_upon_creation=False,
    tags=["cwl-runner"],
    default_args={{"owner": {user!r}}},
)
"""


class ShellRunFailed(Exception):
    """The document did not run; the message says why."""


@dataclass(frozen=True)
class ShellRun:
    """What is run, and how."""

    #: Path or URL, perhaps with ``#name``.
    document: str
    #: Path or URL of the job's file; none for no inputs, or those of `options`.
    job: str | None = None
    #: Inputs, as `options.read_options` gives them.
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: Folder for the outputs; none to leave them in the host's.
    outdir: Path | None = None
    #: For how long to wait, in seconds.
    timeout: float = math.inf
    #: Whether the DAG, its run and what was put into reach are removed afterwards.
    remove: bool = False
    #: Is called with the ids of the DAG and the run when it begins, and returns what is called while it is at work.
    watch: Callable[[str, str], Callable[[], None]] = lambda *_: lambda: None


def run_document(host: Host, run: ShellRun) -> dict[str, Any]:
    """Run a document and return its outputs.

    :raises ShellRunFailed: it did not succeed, or not in time; then it was stopped.
    :raises Refused: the job or the document names what runs may not read or write.
    """
    deadline = time.monotonic() + run.timeout
    check_outdir(run.outdir)
    try:
        request = prepare(host, run)
    except (OSError, ValueError) as error:
        raise ShellRunFailed(str(error)) from error
    file = host.places.dags / RUNNER / f"{request.dag_id}.py"
    text = DAG_FILE.format(dag_id=request.dag_id, workflow=request.document, user=host.user)
    try:
        write_dag_file(file, text)
        run_dag(host, request, file, run, deadline)
        folder = host.places.outputs / request.dag_id / request.run_id
        return read_outputs(folder, run.outdir, moved=run.remove and not host.own_shell)
    except (RestError, RunFailed, DeadlineExceeded, OSError) as error:
        raise ShellRunFailed(str(error)) from error
    finally:
        if run.remove:
            remove(host, request, file)


def write_dag_file(file: Path, text: str) -> None:
    """Write a DAG file, or note that it is used once more: what was not for long is tidied up."""
    make_folder(file.parent, OUTER)
    if file.exists() and file.read_text(encoding="utf-8") == text:
        with contextlib.suppress(PermissionError):  # another administrator's
            os.utime(file)
        return
    write_atomically(file, text)
    file.chmod(0o644)


def remove(host: Host, request: Request, file: Path) -> None:
    """Remove what is left of a run and of its DAG."""
    file.unlink(missing_ok=True)
    shutil.rmtree(host.places.inputs / RUNNER / host.user / request.dag_id, ignore_errors=True)
    with contextlib.suppress(RestError):  # refused while a task ends
        host.client.delete_dag(request.dag_id)


def prepare(host: Host, run: ShellRun) -> Request:
    """Return what Airflow is asked to run, and put what runs may not read where they may.

    :raises Refused: the job or the document names what no run may read or write.
    :raises OSError: something is not there, or cannot be read or copied.
    :raises ValueError: what is wrong with the document or the job.
    """
    document = make_absolute(run.document)
    job: str | dict[str, Any] = make_absolute(run.job) if run.job else {}
    if run.remove:
        request = Request(f"cwl-run-{uuid.uuid4()}", "run", document, job)
    else:
        run_id = f"{key_of(host.user)}-{time.strftime('%Y-%m-%dT%H-%M-%S')}-{uuid.uuid4().hex[:4]}"
        request = Request(name_dag(host.user, document, document), run_id, document, job)
    try:
        check_access(document, job, host.places.gate(request.dag_id, reads=None))
        if not run.options:
            return request
    except Refused:
        if not host.own_shell:
            raise
    # Only now, as it loads cwltool, which takes a second.
    from .staging import stage

    return stage(host, request, run.options, unique=run.remove)


def run_dag(host: Host, request: Request, file: Path, run: ShellRun, deadline: float) -> None:
    """Run the DAG of a file once, and end the run when this is interrupted or too late.

    :param deadline: until when, by `time.monotonic`.
    """
    client, dag_id, run_id = host.client, request.dag_id, request.run_id
    begun = False
    try:
        wait_until_read(host, request, file, deadline)
        if client.get(dag_path(dag_id)).get("is_paused"):
            raise RestError(f"The DAG '{dag_id}' is paused on Airflow's pages, and runs nothing until that ends.")
        client.trigger(dag_id, run_id, {"job": request.job})
        begun = True
        client.wait_for_run(dag_id, run_id, deadline, run.watch(dag_id, run_id))
    except RunFailed:
        raise
    except RestError as error:
        if run.remove or not begun:
            _end(host, request)
            raise
        raise RestError(f"{error}\nThe run goes on: {host.pages}/{run_page(dag_id, run_id)}") from error
    except BaseException:
        _end(host, request)
        raise


def wait_until_read(host: Host, request: Request, file: Path, deadline: float) -> None:
    """Wait until Airflow has read a DAG file, which is removed if it cannot: it would be among the errors of its pages.

    :param deadline: until when, by `time.monotonic`.
    :raises RestError: it cannot be read; the message says why.
    """
    path, last = str(file.relative_to(host.places.dags)), min(deadline, time.monotonic() + READING)
    try:
        host.client.wait_for_dag(request.dag_id, path, last, file.stat().st_mtime)
    except RestError:
        file.unlink(missing_ok=True)
        raise


def _end(host: Host, request: Request) -> None:
    with contextlib.suppress(RestError):
        host.client.set_run_state(request.dag_id, request.run_id, "failed")


def check_outdir(outdir: Path | None) -> None:
    """Make the folder for the outputs, or refuse it before anything runs.

    :raises ShellRunFailed: it cannot be made, or not be written.
    """
    if outdir is None:
        return
    try:
        outdir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=outdir):
            pass
    except OSError as error:
        user = pwd.getpwuid(os.geteuid()).pw_name
        raise ShellRunFailed(f"--outdir: {outdir} may not be written by the user {user}: {error.strerror}.") from error


def make_absolute(source: str) -> str:
    """Return the absolute form of a path, perhaps with ``#name``; a URL as it is."""
    if source.startswith("file://"):
        path, mark, name = source.partition("#")
        return f"{unquote(urlsplit(path).path)}{mark}{name}"
    return source if "://" in source else os.path.abspath(source)


def check_access(document: str, job: str | Mapping[str, Any], gate: Gate) -> None:
    """Refuse what a run would refuse, as far as can be seen before.

    :raises Refused: names the document or the input, the path, and what would allow it.
    """
    if "://" not in document:
        gate.read(document.partition("#")[0], "Document")
    with contextlib.suppress(OSError, ValueError):  # the first task says so
        check_job(job, gate, str(gate.places.inputs), code_allowed=True)


def read_outputs(folder: Path, outdir: Path | None, moved: bool = True) -> dict[str, Any]:
    """Return the outputs of a run from its report.

    :param folder: with its outputs.
    :param outdir: where they are put; none to leave them there.
    :param moved: whether they are gone in the host's folder then.
    :raises OSError: they cannot be put there.
    """
    text = (folder / OUTPUTS_REPORT).read_text(encoding="utf-8")
    if outdir:
        copy_outputs(folder, outdir)
        if moved:
            shutil.rmtree(folder.parent)
        outdir = outdir.absolute()
        text = text.replace(folder.as_uri(), outdir.as_uri())
        text = text.replace(json.dumps(str(folder))[1:-1], json.dumps(str(outdir))[1:-1])
    outputs: dict[str, Any] = json.loads(text)
    outputs.pop(STATISTICS, None)
    return outputs
