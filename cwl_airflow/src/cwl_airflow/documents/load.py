"""Load CWL documents as cwltool does."""

from __future__ import annotations

import functools
import json
import pickle  # nosec B403  # see unpickling
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from cwltool.command_line_tool import CommandLineTool
from cwltool.context import LoadingContext
from cwltool.load_tool import docloaderctx, fetch_document, make_tool, resolve_and_validate_document
from cwltool.pack import pack
from cwltool.process import Process, get_schema, shortname
from cwltool.update import ORIGINAL_CWLVERSION
from cwltool.utils import aslist
from cwltool.workflow import Workflow, default_make_tool
from schema_salad.ref_resolver import file_uri

from ..gate import Gate
from ..gate.hooks import make_fetcher
from ..javascript import client as javascript
from ..javascript.lint import JavascriptCheck
from . import cache
from .file_names import accepted_file_names
from .formats import Ontologies, Term
from .ontologies import known_terms
from .parsing import DocumentLoader
from .plan import GATHERER
from .planning import output_id, source_ids
from .sequences import mend_deepcopy

mend_deepcopy()

#: Which form kept documents have: another one is not read.
DOCUMENT_FORMAT = 2


#: Makes a workflow of a document and cwltool's settings, with only the steps of these ids; all for none.
MakeWorkflow = Callable[[Any, LoadingContext, Container[str] | None], Process]


def whole_workflow(document: Any, loading: LoadingContext, _steps: Container[str] | None = None) -> Process:
    """Make a workflow with all its steps."""
    return Workflow(document, loading)


def needed_steps(workflow: Mapping[str, Any], part: str) -> set[str]:
    """Return the ids of the steps that have to be known to run a part of a workflow.

    :param part: the name of a step, which needs those that it gets values from; `plan.DISPATCHER` for none,
        `plan.GATHERER` for those that the workflow's outputs come from.
    """
    own = {step["id"] for step in workflow["steps"] if shortname(step["id"]) == part}
    parameters, field = [], "source"
    if part == GATHERER and not own:
        parameters, field = workflow["outputs"], "outputSource"
    for step in workflow["steps"]:
        if step["id"] in own:
            parameters = step["in"]
    wanted = source_ids(parameters, field)
    return own | {
        step["id"] for step in workflow["steps"] if any(output_id(output) in wanted for output in step["out"])
    }


def document_uri(source: str) -> str:
    """Return the URI of a document that is named by path or URL, perhaps with ``#name``."""
    if re.match(r"^(file|https?)://", source):
        return source
    if Path(source).exists():
        return str(file_uri(str(Path(source).absolute())))
    path, _, name = source.rpartition("#")
    return f"{file_uri(str(Path(path).absolute()))}#{name}" if path else source


@dataclass(frozen=True)
class LoadedDocument:
    """A document that can be run, and the texts it was read from: URI → SHA-256."""

    process: Process
    texts: Mapping[str, str]
    #: URIs of its ontologies.
    ontologies: tuple[str, ...] = ()
    #: As it was read, see `packed`.
    resolved: ResolvedDocument | None = None

    def packed(self) -> str:
        """Return the document with all that it refers to as one text in JSON; it must have been checked.

        :raises ValueError: it was not read to be checked.
        :raises Exception: cwltool cannot pack it.
        """
        if self.resolved is None:
            raise ValueError("The document was not read to be checked.")
        packed: Any = pack(self.resolved.context, self.resolved.uri)
        if len(packed["$graph"]) == 1:  # as cwltool prints it
            (packed,) = packed["$graph"]
        return json.dumps(packed, indent=2)


def load_document(
    source: str,
    gate: Gate,
    settings: Mapping[str, Any] | None = None,
    overrides: Iterable[Any] = (),
    validate: bool = True,
    part: str | None = None,
    folder: Path | None = None,
    make_workflow: MakeWorkflow = whole_workflow,
) -> LoadedDocument:
    """Load a document.

    :param source: path or URL, with ``#name`` for one process of several.
    :param gate: says which files and hosts it may be read from.
    :param settings: cwltool's options by name, and ``javascript_socket`` (see `javascript.use_javascript_service`).
    :param overrides: what a job says under ``cwltool:overrides``.
    :param validate: whether to check it; false for what was checked before.
    :param part: make only what is needed of a workflow to run a step, `plan.DISPATCHER` or `plan.GATHERER`; most of
        the time goes into its steps.
    :param folder: where documents are kept as they are after they were read and resolved. One that is to be checked is
        read in any case.
    :param make_workflow: makes the process if the document is a workflow.
    :raises cwl_airflow.gate.Refused: it or a part of it may not be read.
    :raises schema_salad.exceptions.ValidationException: what is wrong and where.
    """
    texts: dict[str, str] = {}
    # Nothing evaluates JavaScript before there is a document.
    javascript.use_javascript_service((settings or {}).get("javascript_socket"))
    context = LoadingContext(dict(settings or {}))
    context.fetcher_constructor = make_fetcher(gate, documents=True, texts=texts)
    context.do_validate = validate
    checks_javascript = validate and not context.disable_js_validation
    check = JavascriptCheck(context.js_hint_options_file if checks_javascript else None, context.eval_timeout)
    context.disable_js_validation = True  # see `check`
    wants_ontologies = not context.skip_schemas
    context.skip_schemas = True  # see `ontologies`
    context.doc_cache = False  # the fetcher needs none
    context.loader = DocumentLoader(
        docloaderctx,
        fetcher_constructor=context.fetcher_constructor,
        allow_attachments=lambda _: context.enable_dev,
        doc_cache=False,
    )
    given_overrides = list(overrides)
    context.overrides_list = list(given_overrides)  # cwltool adds those of a job that names its document
    depth = 0

    def read_terms() -> list[Term]:
        return known_terms(resolved.named_ontologies() if wants_ontologies else (), gate, folder)

    ontologies = Ontologies(read_terms)

    def construct(document: Any, loading: LoadingContext) -> Process:
        nonlocal depth
        depth += 1
        is_workflow = document.get("class") == "Workflow"
        if is_workflow and loading.loader and not isinstance(loading.loader, DocumentLoader):
            loading.loader = DocumentLoader.like(loading.loader)  # for the documents of its steps
        if depth == 1 and is_workflow:
            process = make_workflow(document, loading, needed_steps(document, part) if part else None)
        else:
            process = default_make_tool(document, loading)
        process.formatgraph = ontologies
        if isinstance(process, CommandLineTool) and "relax_path_checks" not in (settings or {}):
            process.path_check_mode = accepted_file_names(process)
        if checks_javascript:
            check.add(process)
        return process

    context.construct_tool_object = construct  # type: ignore[assignment]  # its parameters have other names

    def resolve() -> tuple[ResolvedDocument, Mapping[str, str]]:
        loading, document, uri = fetch_document(document_uri(source), context)
        loading, uri = resolve_and_validate_document(loading, document, uri)
        return ResolvedDocument(loading, uri), texts

    key = ["document", DOCUMENT_FORMAT, document_uri(source), dict(settings or {}), given_overrides, gate.places]
    if folder and not validate:
        resolved = cache.cached(
            folder,
            key,
            resolve,
            lambda made: _pickle((made.named_ontologies(), made.encoded())),
            functools.partial(ResolvedDocument.decoded, context),
        )
        return LoadedDocument(make_tool(resolved.uri, resolved.context), texts)
    resolved, _ = resolve()
    entry, made_of = resolved.encoded() if folder else b"", dict(texts)
    process = make_tool(resolved.uri, resolved.context)
    check.run()
    named = resolved.named_ontologies() if wants_ontologies else ()
    if folder:
        # Only now are those of the steps known. A task that makes one step asks those of all, as cwltool does.
        cache.store_entry(folder, key, (named, entry), made_of, _pickle)
    return LoadedDocument(process, texts, named, resolved)


_pickle = functools.partial(pickle.dumps, protocol=pickle.HIGHEST_PROTOCOL)


@dataclass(frozen=True)
class ResolvedDocument:
    """A document that was read and resolved, of which cwltool can make a process."""

    context: LoadingContext
    uri: str
    #: URIs of the ontologies of its steps.
    ontologies: tuple[str, ...] = ()

    def named_ontologies(self) -> tuple[str, ...]:
        """Return the URIs of the ontologies of the document, and of the steps that were read so far."""
        index: dict[str, Any] = dict(self.context.loader.idx) if self.context.loader else {}
        index[self.uri] = self.context.metadata  # cwltool's fast parser leaves them there only
        found = (
            urljoin(uri, str(schema))
            for uri, document in index.items()
            if isinstance(document, Mapping)
            for schema in aslist(document.get("$schemas") or [])
        )
        return tuple(dict.fromkeys([*self.ontologies, *found]))

    def encoded(self) -> bytes:
        """Return what is to be kept of it."""
        context = self.context
        known = (
            self.uri,
            dict(context.loader.idx) if context.loader else {},
            context.metadata,
            context.fast_parser,
            context.jobdefaults,
            context.overrides_list,
        )
        return pickle.dumps(known, pickle.HIGHEST_PROTOCOL)

    @classmethod
    def decoded(cls, context: LoadingContext, entry: bytes) -> ResolvedDocument:
        """Return it, in a context that says how to make the process.

        The cache belongs to the services' user, as the DAG files do, so what is unpickled is trusted.
        """
        ontologies, known = pickle.loads(entry)  # nosec B301
        uri, index, metadata, fast_parser, defaults, overrides = pickle.loads(known)  # nosec B301
        context = context.copy()
        schema, names = get_schema(metadata.get(ORIGINAL_CWLVERSION, metadata["cwlVersion"]))[:2]
        context.loader = DocumentLoader(
            schema.ctx,
            schemagraph=schema.graph,
            cache=schema.cache,
            fetcher_constructor=context.fetcher_constructor,
            skip_schemas=context.skip_schemas,
            doc_cache=context.doc_cache,
        )
        context.loader.idx.update(index)
        context.avsc_names = names  # type: ignore[assignment]  # no error: cwltool has read this schema
        context.metadata, context.fast_parser = metadata, fast_parser
        context.jobdefaults, context.overrides_list = defaults, overrides
        return cls(context, uri, ontologies)
