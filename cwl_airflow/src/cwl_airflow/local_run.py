"""Run one CWL document on this host through Airflow's REST API, as any run, and remove its DAG again."""

from __future__ import annotations

import contextlib
import json
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

from .configuration import FOLDERS, read_option, read_option_if_set
from .documents.plan import OUTPUTS_REPORT, STATISTICS
from .files import write_atomically
from .gate import Places
from .gate.job import check_job
from .input_options import fill_form
from .rest import AirflowClient, DeadlineExceeded, RestError, RunFailed, dag_path

#: The name of the only run of each DAG.
RUN_ID = "run"
DAG_FILE = """\
from cwl_airflow.extensions.cwldag import CWLDAG

dag = CWLDAG(dag_id={dag_id!r}, workflow={workflow!r}, is_paused_upon_creation=False)
"""


class LocalRunFailed(Exception):
    """The document did not run; the message says why."""


@dataclass(frozen=True)
class LocalRun:
    """What is run, and how."""

    #: Path or URL, perhaps with ``#name``.
    document: str
    #: Path of the job's file; none for no inputs, or those of `options`.
    job: str | None = None
    #: Inputs, as `input_options.read_options` gives them.
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: Folder for the outputs; none to leave them in the host's.
    outdir: Path | None = None
    #: For how long to wait, in seconds.
    timeout: float = 3600
    #: Is called with the id of the DAG, and returns what is called while its run is at work.
    watch: Callable[[str], Callable[[], None]] = lambda _: lambda: None


def run_document(client: AirflowClient, run: LocalRun) -> dict[str, Any]:
    """Run a document and return its outputs.

    :raises LocalRunFailed: it did not succeed, or not in time; then it was stopped.
    :raises Refused: the job or the document names what runs may not read or write.
    """
    deadline = time.monotonic() + run.timeout
    dag_id = f"cwl-run-{uuid.uuid4()}"
    workflow = make_absolute(run.document)
    job: str | dict[str, Any] = make_absolute(run.job) if run.job else {}
    check_access(dag_id, workflow, job)
    check_outdir(run.outdir)
    file = Path(read_option("core", "dags_folder")) / f"{dag_id}.py"
    write_atomically(file, DAG_FILE.format(dag_id=dag_id, workflow=workflow))
    try:
        file.chmod(0o644)
        run_dag(client, dag_id, file, run, job, deadline)
    except (RestError, RunFailed, DeadlineExceeded, ValueError) as error:
        raise LocalRunFailed(str(error)) from error
    finally:
        file.unlink(missing_ok=True)
        with contextlib.suppress(RestError):  # refused while a task ends
            client.delete_dag(dag_id)
    return read_outputs(Path(read_option("cwl", "outputs_folder")) / dag_id / RUN_ID, run.outdir)


def run_dag(
    client: AirflowClient, dag_id: str, file: Path, run: LocalRun, job: str | Mapping[str, Any], deadline: float
) -> None:
    """Run the DAG of a file once, and end the run when this is interrupted or too late.

    :param job: where the inputs are not given as options.
    :param deadline: until when, by `time.monotonic`.
    :raises ValueError: an option is no input of the document, or of another type.
    """
    try:
        client.wait_for_dag(dag_id, file.name, deadline)
        conf: Mapping[str, Any] = {"job": job}
        if run.options:
            conf = fill_form(run.options, client.get(f"{dag_path(dag_id)}/details")["params"] or {})
        client.trigger(dag_id, RUN_ID, conf)
        client.wait_for_run(dag_id, RUN_ID, deadline, run.watch(dag_id))
    except BaseException:
        with contextlib.suppress(RestError):
            client.set_run_state(dag_id, RUN_ID, "failed")
        raise


def check_outdir(outdir: Path | None) -> None:
    """Make the folder for the outputs, or refuse it before anything runs.

    :raises LocalRunFailed: it cannot be made, or not be written.
    """
    if outdir is None:
        return
    try:
        outdir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=outdir):
            pass
    except OSError as error:
        user = pwd.getpwuid(os.geteuid()).pw_name
        raise LocalRunFailed(f"--outdir: {outdir} may not be written by the user {user}: {error.strerror}.") from error


def make_absolute(source: str) -> str:
    """Return the absolute form of a path, perhaps with ``#name``; a URL as it is."""
    return source if "://" in source else os.path.abspath(source)


def check_access(dag_id: str, document: str, job: str | Mapping[str, Any]) -> None:
    """Refuse what the run would refuse, as far as can be seen before.

    :raises Refused: names the document or the input, the path, and what would allow it.
    """
    dags = Path(read_option("core", "dags_folder"))
    folders = {"dags_folder": dags, **{name: Path(read_option("cwl", name)) for name in FOLDERS}}
    places = Places.of(dags.parent, folders, lambda name: read_option_if_set("cwl", name))
    gate = places.gate(dag_id, reads=None)
    if "://" not in document:
        gate.read(document.partition("#")[0], "Document")
    with contextlib.suppress(OSError, ValueError):  # the first task says so
        check_job(job, gate, str(places.inputs), code_allowed=True)


def read_outputs(folder: Path, outdir: Path | None) -> dict[str, Any]:
    """Return the outputs of a run from its report.

    :param folder: with its outputs.
    :param outdir: where they are moved to; none to leave them there.
    """
    text = (folder / OUTPUTS_REPORT).read_text(encoding="utf-8")
    if outdir:
        shutil.copytree(folder, outdir, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(folder.parent)
        outdir = outdir.absolute()
        text = text.replace(folder.as_uri(), outdir.as_uri())
        text = text.replace(json.dumps(str(folder))[1:-1], json.dumps(str(outdir))[1:-1])
    outputs: dict[str, Any] = json.loads(text)
    outputs.pop(STATISTICS, None)
    return outputs
