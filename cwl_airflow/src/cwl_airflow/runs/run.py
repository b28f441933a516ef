"""One run of a document: what all its tasks share. Between tasks there is only JSON in the run's folder."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cwltool.process import Process

from ..containers import ContainerEngine
from ..documents.load import load_document
from ..gate import Gate
from ..gate.hooks import Context
from .cwl_json import read_cwl_json
from .layout import RunLayout
from .processes import end_children, remove_noted_containers
from .step_workflow import StepRequest, StepWorkflow

#: What a job says under ``cwl:requirements``.
REQUIREMENTS = "https://w3id.org/cwl/cwl#requirements"


@dataclass
class CWLRun:
    """One run of a document, as one of its tasks sees it."""

    #: Path or URL of a document that was checked before, with ``#name`` for one process of several.
    source: str
    #: Where the run keeps its state and intermediate data.
    layout: RunLayout
    #: Says what it may read and write.
    gate: Gate
    #: Options of cwltool by name, and ``javascript_socket`` (see `javascript.client.use`).
    options: Mapping[str, Any]
    #: What runs its containers.
    engine: ContainerEngine = field(default_factory=lambda: ContainerEngine("docker"))
    #: Where documents that were read are kept.
    documents_folder: Path | None = None
    #: Where the task that acts notes its containers.
    _containers: Path | None = field(default=None, init=False)

    def load(self, part: str, request: StepRequest | None = None) -> Process:
        """Return the document, with what is needed of it.

        :param part: a step's name, `plan.DISPATCHER` or `plan.GATHERER`.
        :param request: what of a workflow is to run.
        """
        overrides = read_cwl_json(self.layout.overrides) if self.layout.overrides.exists() else ()
        return load_document(
            self.source,
            self.gate,
            self.options,
            overrides,
            validate=False,
            part=part,
            folder=self.documents_folder,
            make_workflow=functools.partial(StepWorkflow, request=request),
        ).process

    def step_report(self, task: str) -> Mapping[str, Any] | None:
        """Return outputs and status of the step of a task; none if it has not run."""
        file = self.layout.step(task)
        return read_cwl_json(file) if file.exists() else None

    @contextlib.contextmanager
    def context(self, place: str) -> Iterator[Context]:
        """Make cwltool's settings, with folders of the task's own that are gone afterwards.

        :param place: names the folders.
        """
        scratch = self.layout.scratch(place)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        # An earlier try that was killed may have left some. Not in scratch, which is gone when they are to be found.
        # By host: only this one can say that they are gone.
        self._containers = self.layout.containers(place)
        remove_noted_containers(self._containers, self.engine)
        self._containers.mkdir(parents=True, exist_ok=True)
        context = Context(self.options, self.gate)
        context.basedir = str(self.layout.folder)
        context.tmpdir_prefix = f"{scratch}/tmp-"  # nosec B108  # in the run's own folder
        context.tmp_outdir_prefix = f"{scratch}/out-"
        context.cidfile_dir = str(self._containers)
        try:
            yield context
            shutil.rmtree(self._containers, ignore_errors=True)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def stop(self) -> None:
        """End all processes and containers of the task that acts on this run."""
        end_children()
        if self._containers:
            remove_noted_containers(self._containers, self.engine)
