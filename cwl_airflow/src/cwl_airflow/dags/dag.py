"""The DAG of a CWL document, behind ``cwl_airflow.extensions.cwldag``."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, get_parsing_context

from ..documents.cache import cached
from ..documents.embedded import embedded_text
from ..documents.ontologies import refresh_ontologies
from ..documents.plan import DocumentPlan, cached_plan
from ..files import write_atomically
from ..gate import Refused
from ..gate.job import check_folder
from ..gate.places import EMBEDDED
from ..runs.job_input import folders_named_by_job
from ..runs.layout import RunLayout, run_folders
from .form import form_fields
from .operators import CWLJobDispatcher, CWLJobGatherer, CWLScatterJobsOperator, CWLScatterOperator, CWLStepOperator
from .page import dag_description, dag_page, dag_tags
from .queues import capped_text, queues_of_tasks
from .retries import retry_arguments
from .settings import CWLSettings
from .shown import DOCUMENT, PICTURE, keep_shown

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions._internal.node import DAGNode

    from ..documents.load import LoadedDocument

#: Before any run. One that changed by the day would make a new version of each DAG every day.
START_DATE = datetime(2020, 1, 1, tzinfo=timezone.utc)


def document_source(workflow: str | Path, folder: Path) -> str:
    """Return path or URL of a document, which is written to `folder` if it was given as compressed text.

    :param workflow: path, URL, or base64 of the document's text compressed by gzip or zlib.
    :raises ValueError: the text is too large, or not UTF-8.
    """
    workflow = str(workflow)
    text = embedded_text(workflow)
    if text is None:
        return workflow
    file = folder / EMBEDDED / f"{hashlib.sha256(text.encode()).hexdigest()}.cwl"
    if not file.exists():
        write_atomically(file, text)
    return str(file)


class CWLDAG(DAG):
    """A DAG with a task for each step of a CWL document."""

    def __init__(
        self,
        dag_id: str,
        workflow: str | Path,
        dispatcher: Any = None,
        gatherer: Any = None,
        queues: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Make the DAG and its tasks.

        :param dag_id: its name.
        :param workflow: path or URL of the document, with ``#name`` for one process of several; or base64 of its
            compressed text.
        :param dispatcher: the first task, in place of `CWLJobDispatcher`. It returns the path of a JSON file with the
            job and ``tmp_folder`` and ``outputs_folder``.
        :param gatherer: the last task, in place of `CWLJobGatherer`.
        :param queues: the queues of steps by their tasks; else ``default_args["queue"]``, for all tasks; else the
            smallest one that holds what the step needs.
        :param kwargs: what any DAG takes; ``default_args["cwl"]`` has settings of the engine and options of cwltool.
        :raises schema_salad.exceptions.ValidationException: what is wrong with the document, and where.
        :raises ValueError: no queue holds what a step requires, or a queue or task that was named is not there; or an
            argument is one that Airflow 3 no longer has.
        """
        if "schedule_interval" in kwargs:
            raise ValueError(
                f"DAG '{dag_id}' has 'schedule_interval', which Airflow 3 does not know: name it 'schedule'"
            )
        default_args = {
            "start_date": START_DATE,
            "email_on_failure": False,
            "email_on_retry": False,
            **deepcopy(kwargs.pop("default_args", None) or {}),
        }
        settings = CWLSettings.read(default_args.get("cwl") or {})
        default_args["cwl"] = {**settings.folders, **(default_args.get("cwl") or {})}
        default_args |= retry_arguments(default_args, settings.retries)
        # A worker that was killed notes nothing.
        callbacks = kwargs.pop("on_failure_callback", None) or []
        kwargs["on_failure_callback"] = [
            self._note_failure,
            *(callbacks if isinstance(callbacks, list) else [callbacks]),
        ]
        super().__init__(dag_id, default_args=default_args, **kwargs)
        self.workflow = workflow
        self.source = document_source(workflow, settings.pickle_folder)
        key = [self.source, dict(settings.cwltool), settings.places]
        self.plan = cached_plan(settings.pickle_folder, key, self._make_plan)
        if get_parsing_context().task_id is None:  # a task has no use for it, and does not wait for the network
            if self.plan.ontologies:
                refresh_ontologies(self.plan.ontologies, settings.places.gate(dag_id), settings.pickle_folder)
            with only_words(dag_id):
                source = str(self.source) if "://" in str(self.source) else os.path.abspath(self.source)
                keep_shown(settings.pickle_folder, dag_id, {PICTURE: self.plan.about.graph, DOCUMENT: source})
        with only_words(dag_id):
            self._describe()
        self.dispatcher = dispatcher if dispatcher is not None else CWLJobDispatcher(dag=self)
        self.gatherer = gatherer if gatherer is not None else CWLJobGatherer(dag=self)
        for task in (self.dispatcher, self.gatherer):
            if not task.has_dag():
                if task.retry_policy is None:  # it was made before it could know the DAG's arguments
                    for name, value in retry_arguments({"retries": task.retries}, settings.retries).items():
                        setattr(task, name, value)
                self.add_task(task)
        chosen = queues_of_tasks(
            self.plan.tasks, settings.queues, queues or {}, self.default_args.get("queue"), settings.capped
        )
        with only_words(dag_id):
            self._say_what_is_capped(settings, chosen)
        self._assemble(chosen)
        if type(self.dispatcher) is CWLJobDispatcher:  # of another one a run may have any configuration
            # Last: a task would have a copy of each.
            with only_words(dag_id):
                fields = form_fields(self.plan.about)
                self.params.update({name: field for name, field in fields.items() if name not in self.params})

    def _describe(self) -> None:
        """Say on the DAG's page what its document says of itself, where the DAG file says nothing else."""
        about = self.plan.about
        self.tags = {*self.tags, *dag_tags(about, self.tags)}
        self.description = self.description or dag_description(about)
        self.doc_md = self.doc_md or dag_page(about, str(self.source))

    def _say_what_is_capped(self, settings: CWLSettings, queues: Mapping[str, str]) -> None:
        """Say on the DAG's page which steps run with less than they require."""
        if not settings.capped:
            return
        granted = {queue: settings.granted_resources(queue) for queue in set(queues.values())}
        texts = [self.capped_text(task, granted[queue]) for task, queue in queues.items()]
        if said := [text for text in texts if text]:
            self.doc_md = "\n\n".join([*(f"**{text}**" for text in said), self.doc_md or ""])

    def capped_text(self, task: str, granted: tuple[float, float]) -> str | None:
        """Return in a sentence that a task's step gets less than it requires; none if it does not.

        :param granted: cores and MiB of its queue.
        """
        planned = self.plan.tasks[task]
        return capped_text(planned.step or task, planned.need, *granted)

    def folders(self, run_id: str, given: Mapping[str, str]) -> tuple[Path, Path]:
        """Return the folders of a run: of its intermediate data and of its outputs.

        :param given: what the job names as ``tmp_folder`` and ``outputs_folder``, absolute or relative to those of
            the settings.
        :raises Refused: the run may not write there.
        """
        settings = self.cwl_settings
        gate = settings.places.gate(self.dag_id)
        for name, folder in given.items():
            check_folder(name, folder, gate)
        return run_folders(settings.tmp_folder, settings.outputs_folder, self.dag_id, run_id, given)

    @property
    def cwl_settings(self) -> CWLSettings:
        """The settings of the engine for this DAG."""
        return CWLSettings.read(self.default_args.get("cwl") or {})

    def _note_failure(self, context: Context) -> None:
        settings = self.cwl_settings
        run = context.get("dag_run")  # not there if Airflow knows no task that failed
        job = ((run.conf if run else None) or {}).get("job")
        with suppress(Refused):  # it did not get as far as having a folder
            given = folders_named_by_job(job, str(settings.inputs_folder), settings.places.gate(self.dag_id))
            RunLayout(self.folders(context["run_id"], given)[0]).mark_failed()

    def _load_document(self, validate: bool = False) -> LoadedDocument:
        from ..documents.load import load_document

        settings = self.cwl_settings
        gate = settings.places.gate(self.dag_id)
        return load_document(self.source, gate, settings.cwltool, validate=validate, folder=settings.pickle_folder)

    def _make_plan(self) -> tuple[DocumentPlan, Mapping[str, str]]:
        from ..documents.about import describe_document
        from ..documents.planning import make_plan

        loaded = self._load_document(validate=True)
        name = Path(self.source.partition("#")[0]).stem
        plan = replace(make_plan(loaded.process, name), ontologies=loaded.ontologies)
        with only_words(self.dag_id):
            plan = replace(plan, about=describe_document(loaded.process))
        return plan, loaded.texts

    def packed_document(self) -> Any:
        """Return the document with all that it refers to in one, as JSON has it; none if it cannot be packed.

        It is kept for as long as the document stays as it is: of a large one cwltool packs for many seconds.
        """

        def make() -> tuple[str, Mapping[str, str]]:
            loaded = self._load_document(validate=True)
            return loaded.packed(), loaded.texts

        settings = self.cwl_settings
        key = ["packed", str(self.source), dict(settings.cwltool), settings.places]
        with only_words(self.dag_id):
            return json.loads(cached(settings.pickle_folder, key, make, str.encode, bytes.decode))
        return None

    @property
    def workflow_tool(self) -> Any:
        """The document as cwltool reads it."""
        return self._load_document().process.tool

    def _assemble(self, queues: Mapping[str, str]) -> None:
        """Make the tasks of the steps, and say which comes after which."""
        of_queue = {name: {"queue": queues[name]} if name in queues else {} for name in self.plan.tasks}
        steps = {
            name: CWLStepOperator(task_id=name, step=task.step, dag=self, **of_queue[name])
            for name, task in self.plan.tasks.items()
        }
        for name, task in self.plan.tasks.items():
            first = self._scatter(steps[name], of_queue[name]) if task.scattered else steps[name]
            before: list[DAGNode] = [steps[before] for before in task.before]
            first.set_upstream(before or [self.dispatcher])
        # Steps that give no output must end, too, before the run does.
        last: list[DAGNode] = [
            step for name, step in steps.items() if name in self.plan.last or not step.downstream_list
        ]
        self.gatherer.set_upstream(last or [self.dispatcher])

    def _scatter(self, step: CWLStepOperator, of_queue: Mapping[str, str]) -> CWLScatterOperator:
        """Make the tasks that come before a scattered step: one that shares its jobs out, and those that run them."""
        name = step.task_id
        ids = {kind: unused_task_id(f"{name}.{kind}", self.task_ids) for kind in ("scatter", "jobs")}
        of_step: dict[str, Any] = {"step": step.step, "step_task_id": name}
        scatter = CWLScatterOperator(task_id=ids["scatter"], dag=self, **of_step)
        jobs = CWLScatterJobsOperator.partial(
            task_id=ids["jobs"], dag=self, trigger_rule="none_failed", **of_step, **of_queue
        ).expand(share=scatter.output)
        jobs >> step
        return scatter


@contextmanager
def only_words(dag_id: str) -> Iterator[None]:
    """Go on without what a DAG says of its document, if that cannot be said: it is no reason to have no DAG."""
    try:
        yield
    except Exception:
        logging.getLogger(__name__).warning("DAG %s says less of its document than it could", dag_id, exc_info=True)


def unused_task_id(name: str, taken: list[str]) -> str:
    """Return a task id that is not taken."""
    while name in taken:
        name += "_"
    return name
