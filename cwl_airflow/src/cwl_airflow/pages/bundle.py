"""A run that succeeded as a Workflow Run RO-Crate: what ran, with what, by whom, when, and what it gave."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import PurePath
from typing import IO, Any

from airflow.models import DagRun, TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import select

from ..callers import Caller
from ..dags.operators import CWLScatterJobsOperator
from ..dags.reported import Report, find_report
from ..dags.settings import CWLSettings
from ..gate import Refused
from .crate import DOCUMENT, JOB, METADATA, OUTPUTS, RunRecord, TaskRecord, Times, describe_crate
from .outputs import LeftOut, RunOutputs
from .runs import step_task

#: What ran it.
VERSIONS = ("cwl-airflow", "cwltool", "apache-airflow")


class NotBundled(Exception):
    """A run is not one of which there can be a crate; the message says why."""


@dataclass
class Bundle:
    """The files of a crate."""

    outputs: RunOutputs
    metadata: dict[str, Any]
    document: Any
    job: Any
    #: Paths of outputs below their folder, and whether they are folders.
    given: dict[str, bool]
    #: What could not be given; all of it is known when all files were.
    left_out: list[LeftOut] = field(default_factory=list)

    def files(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Open one after the other all files, with their paths in the crate; closes each."""
        texts = {METADATA: self.metadata, DOCUMENT: self.document, JOB: self.job}
        for name, value in texts.items():
            yield name, io.BytesIO(json.dumps(value, indent=2).encode())
        for path, is_folder in self.given.items():
            if any(self.given.get(str(above)) for above in PurePath(path).parents):
                continue  # it comes with its folder
            inside: list[LeftOut] = []
            for name, stream in (self._folder if is_folder else self._file)(path, inside):
                yield f"{OUTPUTS}/{name}", stream
            self.left_out += [LeftOut(f"{OUTPUTS}/{each.path}", each.why) for each in inside]

    def _folder(self, path: str, left_out: list[LeftOut]) -> Iterator[tuple[str, IO[bytes]]]:
        inside: list[LeftOut] = []
        try:
            self.outputs.find(path)
        except (OSError, Refused) as error:  # since the metadata was written
            left_out.append(LeftOut(path, str(error)))
            return
        for name, stream in self.outputs.walk(path, inside):
            yield f"{path}/{name}", stream
        left_out += [LeftOut(f"{path}/{each.path}", each.why) for each in inside]

    def _file(self, path: str, left_out: list[LeftOut]) -> Iterator[tuple[str, IO[bytes]]]:
        try:
            stream = self.outputs.open(path)
        except (OSError, Refused) as error:  # since the metadata was written
            left_out.append(LeftOut(path, str(error)))
            return
        with stream:
            yield path, stream


def make_bundle(dag_id: str, run_id: str) -> Bundle:
    """Return the files of the crate of a run.

    :raises FileNotFoundError: there is no such run, or its outputs are gone.
    :raises NotBundled: says why.
    """
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None:
            raise FileNotFoundError(f"There is no run '{run_id}'.")
        if str(run.state) != "success":
            raise NotBundled("Only of a run that succeeded there is an RO-Crate.")
        query = select(TaskInstance).where(TaskInstance.run_id == run_id, TaskInstance.dag_id == dag_id)
        rows = list(session.scalars(query))
        times = _times([run])
        agent = Caller.of(run.conf).name or str(run.triggering_user_name or "")
    report = find_report(dag_id, run_id)
    outputs = RunOutputs(report, CWLSettings.read({}).places.gate(dag_id))
    if why := outputs.why_no_crate:
        raise NotBundled(why)
    document, job = report.statistics["document"], report.statistics["job"]
    given = _Given(report, outputs)
    record = RunRecord(
        dag_id=dag_id,
        run_id=run_id,
        times=times,
        agent=agent,
        document=document,
        job=job,
        outputs=report.values,
        tasks=_tasks(rows, outputs.steps),
        versions={name: version(name) for name in VERSIONS},
    )
    try:
        metadata = describe_crate(record, given.below)
    except (LookupError, TypeError, AttributeError, ValueError) as error:  # of a report that no run has written
        raise NotBundled(f"The report of the run cannot be told as an RO-Crate: {error!r}") from error
    return Bundle(outputs, metadata, document, job, given.paths, given.left_out)


class _Given:
    """Finds which outputs are there to be given."""

    def __init__(self, report: Report, outputs: RunOutputs) -> None:
        self.paths: dict[str, bool] = {}
        self.left_out: list[LeftOut] = []
        self._report, self._outputs = report, outputs

    def below(self, value: Mapping[str, Any]) -> str:
        path = self._report.below(value)
        if path and path not in self.paths:
            try:
                if value["class"] == "File":
                    self._outputs.open(path).close()
                else:
                    self._outputs.find(path)
            except (OSError, Refused) as error:
                self.left_out.append(LeftOut(f"{OUTPUTS}/{path}", str(error)))
                return ""
            self.paths[path] = value["class"] == "Directory"
        return path


def _tasks(rows: list[Any], steps: Mapping[str, Any]) -> dict[str, TaskRecord]:
    """Return what ran the steps, by the task that has the step's name."""
    ran: dict[str, list[Any]] = {}
    for row in rows:
        name = step_task(row.task_id) if row.operator == CWLScatterJobsOperator.__name__ else row.task_id
        if name in steps:
            ran.setdefault(name, []).append(row)
    found = {}
    for name, took in steps.items():
        if took.get("status") == "success" and name in ran:
            hosts = sorted({row.hostname for row in ran[name] if row.hostname})
            queues = sorted({row.queue for row in ran[name] if row.queue})
            found[name] = TaskRecord(_times(ran[name]), took, ", ".join(queues), ", ".join(hosts))
    return found


def _times(rows: list[Any]) -> Times:
    """Return from when to when rows of runs or tasks were at work."""
    starts = [row.start_date for row in rows if row.start_date]
    ends = [row.end_date for row in rows if row.end_date]
    return Times(_moment(min(starts)) if starts else None, _moment(max(ends)) if ends else None)


def _moment(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")
