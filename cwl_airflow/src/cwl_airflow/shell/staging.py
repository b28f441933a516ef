"""Put a document and its inputs where runs may read them: in a folder of their own among the inputs of the site.

Only what runs may not read where it is.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from cwltool.errors import WorkflowException
from schema_salad.exceptions import ValidationException
from schema_salad.ref_resolver import file_uri

from ..dags.form_check import FILES_IN
from ..documents.about import describe_document
from ..documents.load import LoadedDocument, load_document
from ..documents.plan import DISPATCHER
from ..documents.types import form_schema, form_value, types_in
from ..gate import DataPath, Gate, Places, Refused
from ..gate.objects import FILES, find_files, is_remote, local_path
from ..gate.places import RUNNER, RUNNER_DOCUMENTS
from ..javascript.thrown import FAILED, expression_failed_text
from ..runs.inputs import begin_run
from ..runs.layout import RunLayout
from ..runs.run import CWLRun
from .host import Host
from .options import fill_form
from .placing import OUTER, make_folder, place_file
from .request import Request, name_dag

# It prints pages on an expression that fails, beside what it raises.
logging.getLogger("cwl_utils").handlers = [logging.NullHandler()]


def stage(host: Host, request: Request, options: Mapping[str, Sequence[str]], unique: bool) -> Request:
    """Return what Airflow is asked to run, with what runs may not read put where they may.

    The document and the job are checked here as the run checks them, with the rights of who runs this.

    :param options: inputs by name, in place of a job.
    :param unique: whether nothing is shared with other runs of the document.
    :raises Refused: the job or the document names what no run may read.
    :raises OSError: something is not there, or cannot be read or copied.
    :raises ValueError: what is wrong with the document or the job.
    """
    places = host.places
    sites = places.gate(request.dag_id, reads=None)
    own = own_gate(places, request.dag_id) if host.own_shell else sites
    folder = own_folder(host)
    with as_values():
        document = load_document(request.document, own, host.options)
    job = job_of_options(options, document) if options else request.job
    if "://" not in request.document:
        files = files_of_document(document, own)
        if not all(may_be_read(each, sites) for each in files):
            shared = request.dag_id if unique else RUNNER_DOCUMENTS
            staged, content = stage_document(request.document, files, folder / shared, host.min_free)
            dag_id = request.dag_id if unique else name_dag(host.user, request.document, content)
            request = replace(request, dag_id=dag_id, document=staged)
    with tempfile.TemporaryDirectory() as scratch, as_values():
        run = CWLRun(request.document, RunLayout(Path(scratch)), own, host.options)
        inputs = complete_inputs(run, begin_run(run, job, os.getcwd()))
    gate = places.gate(request.dag_id, reads=None)
    stage_inputs(inputs, gate, folder / request.dag_id / request.run_id, host.min_free)
    return replace(request, job=inputs)


def own_gate(places: Places, dag_id: str) -> Gate:
    """Return the gate of who runs this, who opens no file that is closed to him.

    :param places: of the site.
    """
    return replace(places, data=(*places.data, DataPath(Path("/")))).gate(dag_id, reads=None)


def own_folder(host: Host) -> Path:
    """Return the folder for what who runs this puts into reach, which is made.

    :raises OSError: somebody else made it.
    """
    make_folder(host.places.inputs / RUNNER, OUTER)
    folder = host.places.inputs / RUNNER / host.user
    make_folder(folder)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise OSError(f"{folder} is not yours: whoever keeps this host has to remove it")
    return folder


@contextmanager
def as_values() -> Iterator[None]:
    """Have what cwltool finds wrong be errors of Python's."""
    try:
        yield
    except Refused:
        raise
    except (ValidationException, WorkflowException) as error:
        said = str(error)
        raise ValueError(expression_failed_text(said) if FAILED in said else said) from error


def complete_inputs(run: CWLRun, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a run that was begun with all secondary files: a tool's own are found when it runs."""
    with run.context(DISPATCHER) as context:
        context.toplevel = True  # it looks for them then
        job = dict(run.load(DISPATCHER)._init_job(dict(inputs), context).job)
    for file in find_files(job):
        if local_path(file):
            file.pop("contents", None)  # of a file, which the run reads itself
    return job


def job_of_options(options: Mapping[str, Sequence[str]], document: LoadedDocument) -> dict[str, Any]:
    """Return the job that options on a command line give.

    :raises ValueError: names the option, and what it may be.
    """
    kinds = {each.name: each.type for each in describe_document(document.process).inputs}
    fields = {
        name: {"schema": {**form_schema(kind), FILES_IN: bool(types_in(kind) & {*FILES})}}
        for name, kind in kinds.items()
    }
    filled = fill_form(options, fields)
    return {name: form_value(kinds[name], filled[name]) for name in options}


def files_of_document(document: LoadedDocument, gate: Gate) -> set[str]:
    """Return the paths of the local files and folders that a document is made of.

    :param gate: of who runs this: a document could name a key of his, which others would read then.
    :raises Refused: the document names what no run may read.
    """
    found: set[str] = set()
    for uri in document.texts:
        if path := _path_of(uri):
            found |= {path, *_named_files(path)}
    for each in found:
        real = gate.read(each, "Document")
        if os.path.isdir(real):
            gate.read_tree(real, "Document")
    return found | {path for uri in document.ontologies if (path := _path_of(uri)) and os.path.exists(path)}


def _path_of(uri: str) -> str | None:
    parts = urlsplit(uri)
    return unquote(parts.path) if parts.scheme == "file" else None


def _named_files(path: str) -> Iterable[str]:
    """Find the files that a document names, as defaults for instance; of a script there are none."""
    try:
        content = yaml.load(Path(path).read_bytes(), Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # nosec B506
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    for file in find_files(content):
        named = file.get("location") or file.get("path")
        if isinstance(named, str) and not is_remote(named) and not named.startswith("_:"):
            meant = [_path_of(named)] if "://" in named else [named, unquote(named)]
            for local in filter(None, meant):
                # With what may be its secondary files: a step looks for them beside it.
                beside = os.path.normpath(os.path.join(os.path.dirname(path), local))
                yield from (each for each in (beside, *glob.glob(f"{glob.escape(beside)}.*")) if os.path.exists(each))


def stage_document(source: str, files: Iterable[str], folder: Path, least: float) -> tuple[str, str]:
    """Put a document where runs may read it, with its files beside it as they are, once for the same content.

    :param source: its absolute path, perhaps with ``#name``.
    :param files: absolute paths of what it is made of.
    :param folder: is made, with a name that says what is in it, below this one.
    :param least: what must be free afterwards, in MiB.
    :returns: the document's path there, with ``#name``, and what tells its content from others'.
    """
    path, mark, name = source.partition("#") if not os.path.exists(source) else (source, "", "")
    root = os.path.commonpath([os.path.dirname(each) for each in {path, *files}])
    new = folder / f".{os.getpid()}.new"
    shutil.rmtree(new, ignore_errors=True)
    make_folder(new)
    try:
        for each in sorted({path, *files}):
            place_file(each, new / os.path.relpath(each, root), least, link=False)
        digest = _digest_of(new, os.path.relpath(path, root) + mark + name)
        there = folder / digest
        with suppress(OSError):  # it is there already
            new.rename(there)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return f"{there / os.path.relpath(path, root)}{mark}{name}", digest


def _digest_of(folder: Path, name: str) -> str:
    digest = hashlib.sha256(name.encode())
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        content, mode = hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mode & 0o111
        digest.update(f"\0{file.relative_to(folder)}\0{mode}\0{content}".encode())
    return digest.hexdigest()[:8]


def stage_inputs(inputs: dict[str, Any], gate: Gate, folder: Path, least: float) -> None:
    """Put what a run may not read where it may, and say so in its inputs.

    :param inputs: complete and with absolute locations; they are changed.
    :param gate: of the run.
    :param folder: for these inputs alone.
    :param least: what must be free afterwards, in MiB.
    :raises OSError: something cannot be read, or there is no room.
    """
    listed: set[int] = set()
    for number, file in enumerate(list(find_files(inputs))):
        if id(file) in listed:  # it is in a folder that was put there
            continue
        # Together, as tools look for them so.
        local = [each for each in (file, *file.get("secondaryFiles", [])) if local_path(each)]
        if all(_is_in_reach(str(local_path(each)), gate, folder) for each in local):
            continue
        for each in local:
            path = str(local_path(each))
            place = folder / str(number) / str(each.get("basename") or os.path.basename(path.rstrip("/")))
            place_file(path, place, least)
            listed |= {id(inner) for inner in find_files(each.get("listing", []))}
            for name in ("path", "dirname", "listing"):  # of the old place, and found again in the new one
                each.pop(name, None)
            each["location"] = file_uri(str(place))


def _is_in_reach(path: str, gate: Gate, folder: Path) -> bool:
    return Path(path).is_relative_to(folder) or may_be_read(path, gate)


def may_be_read(path: str, gate: Gate) -> bool:
    """Tell whether a run may read a file where it is."""
    try:
        gate.read(path, "")
    except Refused:
        return False
    return True
