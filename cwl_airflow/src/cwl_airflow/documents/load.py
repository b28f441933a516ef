"""Load CWL documents as cwltool does, and plan their tasks."""

from __future__ import annotations

import functools
import math
import operator
import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cwltool.context import LoadingContext
from cwltool.load_tool import fetch_document, make_tool, resolve_and_validate_document
from cwltool.process import Process, get_schema, shortname
from cwltool.update import ORIGINAL_CWLVERSION
from cwltool.utils import aslist
from cwltool.workflow import Workflow, default_make_tool
from schema_salad.ref_resolver import Loader, file_uri

from ..gate import Gate
from ..gate.hooks import fetcher
from ..javascript import client as javascript
from ..runs.step_workflow import StepByStep
from . import cache
from .plan import LAST, Need, Plan, Task, task_ids

#: Which form kept documents have: another one is not read.
FORMAT = 1


def needed(workflow: Mapping[str, Any], part: str) -> set[str]:
    """Return the ids of the steps that have to be known to run a part of a workflow.

    :param part: the name of a step, which needs those that it gets values from; `plans.FIRST` for none, `plans.LAST`
        for those that the workflow's outputs come from.
    """
    own = {step["id"] for step in workflow["steps"] if shortname(step["id"]) == part}
    parameters, field = [], "source"
    if part == LAST and not own:
        parameters, field = workflow["outputs"], "outputSource"
    for step in workflow["steps"]:
        if step["id"] in own:
            parameters = step["in"]
    sources = {source for parameter in parameters for source in aslist(parameter.get(field) or [])}
    return own | {
        step["id"]
        for step in workflow["steps"]
        if any((output if isinstance(output, str) else output["id"]) in sources for output in step["out"])
    }


def locate(source: str) -> str:
    """Return the URI of a document that is named by path or URL, perhaps with ``#name``."""
    if re.match(r"^(file|https?)://", source):
        return source
    if Path(source).exists():
        return str(file_uri(str(Path(source).absolute())))
    path, _, name = source.rpartition("#")
    return f"{file_uri(str(Path(path).absolute()))}#{name}" if path else source


@dataclass(frozen=True)
class Loaded:
    """A document that can be run, and the texts it was read from: URI → SHA-256."""

    process: Process
    texts: Mapping[str, str]


def load(
    source: str,
    gate: Gate,
    settings: Mapping[str, Any] | None = None,
    overrides: Iterable[Any] = (),
    validate: bool = True,
    part: str | None = None,
    folder: Path | None = None,
) -> Loaded:
    """Load a document.

    :param source: path or URL, with ``#name`` for one process of several.
    :param gate: says which files and hosts it may be read from.
    :param settings: cwltool's options by name, and ``javascript_socket`` (see `javascript.use`).
    :param overrides: what a job says under ``cwltool:overrides``.
    :param validate: whether to check it; false for what was checked before.
    :param part: make only what is needed of a workflow to run a step, `plans.FIRST` or `plans.LAST`; most of the time
        goes into its steps.
    :param folder: where documents are kept as they are after they were read and resolved. One that is to be checked is
        read in any case.
    :raises cwl_airflow.gate.Refused: it or a part of it may not be read.
    :raises schema_salad.exceptions.ValidationException: what is wrong and where.
    """
    texts: dict[str, str] = {}
    # Nothing evaluates JavaScript before there is a document.
    javascript.use((settings or {}).get("javascript_socket"))
    context = LoadingContext(dict(settings or {}))
    context.fetcher_constructor = fetcher(gate, documents=True, texts=texts)
    context.do_validate = validate
    context.disable_js_validation = context.disable_js_validation or not validate
    context.overrides_list = list(overrides)
    depth = 0

    def construct(document: Any, loading: LoadingContext) -> Process:
        nonlocal depth
        depth += 1
        if depth == 1 and document.get("class") == "Workflow":
            return StepByStep(document, loading, needed(document, part) if part else None)
        return default_make_tool(document, loading)

    context.construct_tool_object = construct

    def resolve() -> tuple[Resolved, Mapping[str, str]]:
        loading, document, uri = fetch_document(locate(source), context)
        loading, uri = resolve_and_validate_document(loading, document, uri)
        return Resolved(loading, uri), texts

    key = ["document", FORMAT, locate(source), dict(settings or {}), context.overrides_list, gate.places]
    if folder and not validate:
        resolved = cache.kept(folder, key, resolve, Resolved.encoded, functools.partial(Resolved.decoded, context))
    else:
        resolved, _ = resolve()
        if folder:
            cache.keep(folder, key, resolved, texts, Resolved.encoded)
    return Loaded(make_tool(resolved.uri, resolved.context), texts)


@dataclass(frozen=True)
class Resolved:
    """A document that was read and resolved, of which cwltool can make a process."""

    context: LoadingContext
    uri: str

    def encoded(self) -> bytes:
        """Return what is to be kept of it: nothing, if it has ontologies, which cwltool keeps elsewhere."""
        context = self.context
        if any(isinstance(document, Mapping) and "$schemas" in document for document in context.loader.idx.values()):
            return b""
        known = (
            self.uri,
            dict(context.loader.idx),
            context.metadata,
            context.fast_parser,
            context.jobdefaults,
            context.overrides_list,
        )
        return pickle.dumps(known, pickle.HIGHEST_PROTOCOL)

    @classmethod
    def decoded(cls, context: LoadingContext, entry: bytes) -> Resolved:
        """Return it, in a context that says how to make the process.

        The cache belongs to the services' user, as the DAG files do, so what is unpickled is trusted.
        """
        uri, index, metadata, fast_parser, defaults, overrides = pickle.loads(entry)
        context = context.copy()
        schema, names = get_schema(metadata.get(ORIGINAL_CWLVERSION, metadata["cwlVersion"]))[:2]
        context.loader = Loader(
            schema.ctx,
            schemagraph=schema.graph,
            cache=schema.cache,
            fetcher_constructor=context.fetcher_constructor,
            skip_schemas=context.skip_schemas,
            doc_cache=context.doc_cache,
        )
        context.loader.idx.update(index)
        context.avsc_names = names
        context.metadata, context.fast_parser = metadata, fast_parser
        context.jobdefaults, context.overrides_list = defaults, overrides
        return cls(context, uri)


def need(process: Process) -> Need:
    """Say what the jobs of a process need, before there are any.

    Precedence and inheritance are cwltool's; which field decides is as in its ``Process.evalResources``.
    """
    if isinstance(process, Workflow):
        return functools.reduce(operator.or_, (need(step.embedded_tool) for step in process.steps), Need())
    resources, required = process.get_requirement("ResourceRequirement")
    resources = resources or {}
    cores = resources.get("coresMin") or resources.get("coresMax") or 1
    ram = resources.get("ramMin") or resources.get("ramMax")
    ram = ram or (1024 if process.metadata.get(ORIGINAL_CWLVERSION) == "v1.0" else 256)
    known = not isinstance(cores, str) and not isinstance(ram, str)
    cores, ram = (0 if isinstance(cores, str) else cores), (0 if isinstance(ram, str) else math.ceil(ram))
    return Need(cores, ram, *((cores, ram) if required else (0, 0)), known)


def plan(process: Process, name: str) -> Plan:
    """Say which tasks run a document.

    :param name: names the task if the document is one tool.
    """
    if not isinstance(process, Workflow):
        (task,) = task_ids([name]).values()
        return Plan({task: Task(None, need=need(process))}, (task,))
    steps = process.tool["steps"]
    ids = task_ids(shortname(step["id"]) for step in steps)
    by_output = {
        (output if isinstance(output, str) else output["id"]): ids[shortname(step["id"])]
        for step in steps
        for output in step["out"]
    }

    def tasks_before(parameters: Iterable[Any], field: str) -> tuple[str, ...]:
        sources = {source for parameter in parameters for source in aslist(parameter.get(field) or [])}
        return tuple(sorted({by_output[source] for source in sources if source in by_output}))

    needs = {shortname(step.id): need(step.embedded_tool) for step in process.steps}
    tasks = {}
    for step in steps:
        name = shortname(step["id"])
        tasks[ids[name]] = Task(name, tasks_before(step["in"], "source"), "scatter" in step, needs[name])
    return Plan(tasks, tasks_before(process.tool["outputs"], "outputSource"))
