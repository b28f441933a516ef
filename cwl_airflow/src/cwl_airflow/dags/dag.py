"""The DAG of a CWL document, behind ``cwl_airflow.extensions.cwldag``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from airflow.models.dag import DAG
from airflow.utils.dates import days_ago

from ..documents import plan as plans
from ..documents.embedded import text_of
from ..files import replace
from ..gate import Refused
from ..gate.job import check_folder
from ..gate.places import EMBEDDED
from ..runs.folder import folders, mark
from ..runs.job_input import named_folders
from .operators import CWLJobDispatcher, CWLJobGatherer, CWLScatterJobsOperator, CWLScatterOperator, CWLStepOperator
from .queues import of_tasks
from .settings import Settings


def source_of(workflow: str | Path, folder: Path) -> str:
    """Return path or URL of a document, which is written to `folder` if it was given as compressed text.

    :param workflow: path, URL, or base64 of the document's text compressed by gzip or zlib.
    :raises ValueError: the text is too large, or not UTF-8.
    """
    workflow = str(workflow)
    text = text_of(workflow)
    if text is None:
        return workflow
    file = folder / EMBEDDED / f"{hashlib.sha256(text.encode()).hexdigest()}.cwl"
    if not file.exists():
        replace(file, text)
    return str(file)


class CWLDAG(DAG):  # type: ignore[misc]  # Airflow is only typed in part
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
        :raises ValueError: no queue holds what a step requires, or a queue or task that was named is not there.
        """
        default_args = {
            "start_date": days_ago(180),
            "email_on_failure": False,
            "email_on_retry": False,
            **deepcopy(kwargs.pop("default_args", None) or {}),
        }
        settings = Settings.of(default_args.get("cwl") or {})
        default_args["cwl"] = {**settings.folders, **(default_args.get("cwl") or {})}
        if "schedule_interval" not in kwargs:
            kwargs.setdefault("schedule", None)
        # A worker that was killed notes nothing.
        callbacks = kwargs.pop("on_failure_callback", None) or []
        kwargs["on_failure_callback"] = [
            self._note_failure,
            *(callbacks if isinstance(callbacks, list) else [callbacks]),
        ]
        super().__init__(dag_id, default_args=default_args, **kwargs)
        self.workflow = workflow
        self.source = source_of(workflow, settings.pickle_folder)
        key = [self.source, dict(settings.cwltool), settings.places]
        self.plan = plans.kept(settings.pickle_folder, key, self._make_plan)
        self.dispatcher = dispatcher if dispatcher is not None else CWLJobDispatcher(dag=self)
        self.gatherer = gatherer if gatherer is not None else CWLJobGatherer(dag=self)
        for task in (self.dispatcher, self.gatherer):
            if not task.has_dag():
                self.add_task(task)
        self._assemble(of_tasks(self.plan.tasks, settings.queues, queues or {}, self.default_args.get("queue")))

    def folders(self, run_id: str, given: Mapping[str, str]) -> tuple[Path, Path]:
        """Return the folders of a run: of its intermediate data and of its outputs.

        :param given: what the job names as ``tmp_folder`` and ``outputs_folder``, absolute or relative to those of
            the settings.
        :raises Refused: the run may not write there.
        """
        settings = Settings.of(self.default_args.get("cwl") or {})
        gate = settings.places.gate(self.dag_id)
        for name, folder in given.items():
            check_folder(name, folder, gate)
        return folders(settings.tmp_folder, settings.outputs_folder, self.dag_id, run_id, given)

    def _note_failure(self, context: Any) -> None:
        settings = Settings.of(self.default_args.get("cwl") or {})
        job = (context["dag_run"].conf or {}).get("job")
        with suppress(Refused):  # it did not get as far as having a folder
            given = named_folders(job, str(settings.inputs_folder), settings.places.gate(self.dag_id))
            mark(self.folders(context["run_id"], given)[0])

    def _loaded(self, validate: bool = False) -> Any:
        from ..documents import load as documents

        settings = Settings.of(self.default_args.get("cwl") or {})
        gate = settings.places.gate(self.dag_id)
        return documents.load(self.source, gate, settings.cwltool, validate=validate, folder=settings.pickle_folder)

    def _make_plan(self) -> Any:
        from ..documents import load as documents

        loaded = self._loaded(validate=True)
        name = Path(self.source.partition("#")[0]).stem
        return documents.plan(loaded.process, name), loaded.texts

    @property
    def workflow_tool(self) -> Any:
        """The document as cwltool reads it."""
        return self._loaded().process.tool

    def inputs(self) -> list[str]:
        """Return the names of the document's inputs."""
        from cwltool.process import shortname

        return [shortname(parameter["id"]) for parameter in self.workflow_tool["inputs"]]

    def _assemble(self, queues: Mapping[str, str]) -> None:
        made = {}
        of_queue = {name: {"queue": queues[name]} if name in queues else {} for name in self.plan.tasks}
        for name, task in self.plan.tasks.items():
            made[name] = CWLStepOperator(task_id=name, step=task.step, dag=self, **of_queue[name])
        first = dict(made)  # the task of a step that comes first
        for name, task in self.plan.tasks.items():
            if task.scattered:
                ids = {kind: free(f"{name}.{kind}", self.task_ids) for kind in ("scatter", "jobs")}
                of_step: dict[str, Any] = {"step": task.step, "step_task_id": name}
                first[name] = CWLScatterOperator(task_id=ids["scatter"], dag=self, **of_step)
                jobs = CWLScatterJobsOperator.partial(
                    task_id=ids["jobs"], dag=self, trigger_rule="none_failed", **of_step, **of_queue[name]
                ).expand(share=first[name].output)
                jobs >> made[name]
        for name, task in self.plan.tasks.items():
            first[name].set_upstream([made[before] for before in task.before] or [self.dispatcher])
        last = [made[name] for name in self.plan.last]
        # Steps that give no output must end, too, before the run does.
        loose = [task for task in made.values() if not task.downstream_list]
        self.gatherer.set_upstream(list({id(task): task for task in [*last, *loose]}.values()) or [self.dispatcher])


def free(name: str, taken: list[str]) -> str:
    """Return a task id that is not taken."""
    while name in taken:
        name += "_"
    return name
