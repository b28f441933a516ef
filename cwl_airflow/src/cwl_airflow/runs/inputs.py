"""Begin a run: take its job as cwltool does, and keep it as the inputs of the run."""

from __future__ import annotations

import argparse
import copy
import functools
import io
import logging
import os
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

from cwltool.load_tool import jobloader_id_name, jobloaderctx, resolve_overrides
from cwltool.main import init_job_order
from cwltool.process import Process, shortname
from schema_salad.ref_resolver import Loader, file_uri
from schema_salad.sourceline import cmap

from ..documents.load import document_uri
from ..documents.parsing import DocumentLoader
from ..documents.plan import DISPATCHER
from ..gate import Gate, Refused
from ..gate.hooks import GatedFsAccess, make_fetcher
from ..gate.job import FOLDERS, check_code, check_job
from ..gate.names import shown_name
from ..gate.objects import check_names, drop_null, find_files, is_remote, keys_that_are_no_text
from .cwl_json import as_written, write_cwl_json
from .input_types import check_types
from .job_input import check_input_files, check_input_names
from .run import REQUIREMENTS, CWLRun
from .secondary_files import add_secondary_files
from .step_workflow import StepWorkflow

_logger = logging.getLogger("cwltool")

#: What a job may say beside its inputs.
OVERRIDES = "http://commonwl.org/cwltool#overrides"
TOOL = "https://w3id.org/cwl/cwl#tool"


def begin_run(run: CWLRun, job: Any, base: str, code_allowed: bool = False) -> dict[str, Any]:
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
        check_job(job, run.gate, base, code_allowed)
        resolved, loader, base, uri = _resolve_job(job, run.gate, base)
        _check_resolved(job, resolved)
        for name in (jobloader_id_name, *FOLDERS, TOOL):
            resolved.pop(name, None)
        check_code(resolved, code_allowed)
        _keep_overrides(run, resolved, uri)
        process = run.load(DISPATCHER)
        _check_given(process, resolved, run.gate)
        inputs = _complete_inputs(run, process, resolved, loader, base)
    except (RecursionError, StopIteration) as error:
        raise ValueError(f"The job is empty, nested too deep, or in itself ({type(error).__name__}).") from error
    _check_inputs(inputs, run.gate)  # with what the document adds
    write_cwl_json(inputs, run.layout.inputs)
    return inputs


class JobLoader(DocumentLoader):
    """Loads the files of jobs, in which a path may be that of a file whose name means something else in a URL."""

    def fetch(self, url: str, inject_ids: bool = True, content_types: list[str] | None = None) -> Any:
        """Return a job or a part of one, which is not resolved yet, and note it."""
        known = url in self.idx
        loaded = super().fetch(url, inject_ids, content_types)
        if not known and url.startswith("file:"):
            escape_paths(loaded, os.path.dirname(unquote(urlsplit(url).path)))
        return loaded


def escape_paths(value: Any, base: str) -> None:
    """Write the paths of files that are there as URLs: cwltool takes a path for one, in which ``#`` ends the name.

    :param value: a job, or a part of one.
    :param base: folder to which relative paths refer.
    """
    for file in find_files(value):
        path = file.get("path")
        if isinstance(path, str) and "location" not in file and "://" not in path and "\0" not in path:
            local = os.path.join(base, path)
            if os.path.lexists(local):
                file["path"] = file_uri(local)


def _resolve_job(job: Any, gate: Gate, base: str) -> tuple[Any, Loader, str, str]:
    """Return a job with all that it includes.

    :returns: the job, what loaded it, and the folder and the URI to which what it names refers.
    """
    # No $schemas: they describe documents.
    fetches = make_fetcher(gate, documents=False)
    loader = JobLoader(copy.copy(jobloaderctx), fetcher_constructor=fetches, skip_schemas=True)
    if isinstance(job, str):
        path = job if "://" in job else os.path.join(base, job)
        if "://" not in path and not os.path.isfile(path):
            raise FileNotFoundError(f"The job's file {path} is not there.")
        uri = document_uri(path)
        return _resolve_safely(functools.partial(loader.resolve_ref, uri)), loader, os.path.dirname(path), uri
    if isinstance(job, Mapping):
        _check_keys(job)
        job = copy.deepcopy(dict(job))
        drop_null(job)
        escape_paths(job, base)
        uri = file_uri(base)
        return (
            _resolve_safely(functools.partial(loader.resolve_all, cmap(as_written(job)), f"{uri}/")),
            loader,
            base,
            uri,
        )
    raise ValueError(f"'job' must be an object or the path of a file, not {job!r}.")


def _resolve_safely(resolve: Callable[..., tuple[Any, Any]]) -> Any:
    """Return what schema-salad resolves.

    :raises ValueError: it failed at what the job is.
    """
    try:
        return resolve(checklinks=False)[0]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"The job cannot be read: {error}") from error


def _check_resolved(job: Any, resolved: Any) -> None:
    if not isinstance(resolved, MutableMapping):
        raise ValueError("The job must be an object with the inputs by name.")
    _check_input_keys(resolved)
    if isinstance(job, str) and is_remote(job) and (named := sorted({*FOLDERS} & resolved.keys())):
        raise Refused(f"'{named[0]}' in a job that is fetched comes too late: give it in a job of this host.")


def _check_keys(job: Mapping[Any, Any]) -> None:
    """Refuse keys that are no text: schema-salad sorts them, and what is kept of the job is JSON."""
    _check_input_keys(job)
    for name, value in job.items():
        if odd := keys_that_are_no_text(value):
            raise ValueError(f"Input '{name}' has the key {shown_name(odd[0])}, which is no text: put it in quotes.")


def _check_input_keys(job: Mapping[Any, Any]) -> None:
    for name in job:
        if not isinstance(name, str):
            raise ValueError(f"The job gives {name!r}, which is no name of an input: put it in quotes.")


def _keep_overrides(run: CWLRun, resolved: Any, uri: str) -> None:
    """Take what a job says of the document out of it, and keep it for all tasks."""
    if OVERRIDES in resolved:
        overrides = resolve_overrides(resolved, uri, document_uri(run.source).partition("#")[0])
        del resolved[OVERRIDES]
        write_cwl_json(overrides, run.layout.overrides)


def _check_given(process: Process, resolved: Mapping[str, Any], gate: Gate) -> None:
    parameters = [{**parameter, "id": shortname(parameter["id"])} for parameter in process.tool["inputs"]]
    for line in check_input_names(resolved, parameters):
        _logger.warning("%s", line)
    _check_inputs({parameter["id"]: resolved.get(parameter["id"]) for parameter in parameters}, gate)


def _check_inputs(inputs: Mapping[str, Any], gate: Gate) -> None:
    for name, value in inputs.items():
        check_names(value, f"Input '{name}'")
    check_input_files(inputs, gate)


def _complete_inputs(run: CWLRun, process: Process, resolved: Any, loader: Loader, base: str) -> dict[str, Any]:
    """Return the inputs as the document takes them, with its defaults and secondary files."""
    arguments = argparse.Namespace(workflow=run.source, tool_help=False)
    access = functools.partial(GatedFsAccess, run.gate)
    order = init_job_order(
        resolved, arguments, process, loader, io.StringIO(), make_fs_access=access, input_basedir=base
    )
    for parameter in process.tool["inputs"]:
        add_secondary_files(parameter, order.get(shortname(parameter["id"])))
    check_types(process, order, access(""))
    if not isinstance(process, StepWorkflow):
        return dict(order)
    with run.context(DISPATCHER) as context:
        context.toplevel = True  # it looks for secondary files then
        inputs = dict(process._init_job(order, context).job)
    if REQUIREMENTS in order:
        inputs[REQUIREMENTS] = order[REQUIREMENTS]
    return inputs
