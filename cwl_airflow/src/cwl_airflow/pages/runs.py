"""What the page of a run shows: its outputs, what its steps took, why it failed, and the job."""

from __future__ import annotations

from typing import Any

from airflow.models import DagRun, TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import select

from ..callers import KEY
from ..dags.notes import failed_tasks
from ..dags.operators import CWLScatterJobsOperator, CWLScatterOperator
from ..dags.reported import find_report, pushed
from ..dags.settings import CWLSettings
from ..documents.plan import DISPATCHER, GATHERER
from .outputs import RunOutputs
from .steps import StepUsage

#: Failed tasks that are described.
MOST_FAILED = 20
#: Before a task has ended what is known of its jobs is of an earlier try.
AT_WORK = ("scheduled", "queued", "running", "restarting")


def find_outputs(dag_id: str, run_id: str) -> RunOutputs:
    """Return the outputs of a run.

    :raises FileNotFoundError: there are none (yet, or any more).
    """
    return RunOutputs(find_report(dag_id, run_id), CWLSettings.read({}).places.gate(dag_id))


def describe_run(dag_id: str, run_id: str) -> dict[str, Any]:
    """Return what the page of a run shows.

    :returns: ``state``; ``conf`` with which the same can be started again; ``tasks`` in the order of their start;
        ``failed``, why and how each task failed that did; ``outputs``, their ``folder`` and ``no_crate``, why there is
        no RO-Crate, or else ``missing``, why there are no outputs; ``unknown``, why nothing is known of steps.
    :raises FileNotFoundError: there is no such run.
    """
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None:
            raise FileNotFoundError(f"There is no run '{run_id}'.")
        conf = {name: value for name, value in (run.conf or {}).items() if name != KEY}
        query = select(TaskInstance).where(TaskInstance.run_id == run_id, TaskInstance.dag_id == dag_id)
        rows = [_describe_task(task) for task in session.scalars(query)]
        described = {"state": str(run.state), "conf": conf, "cwl": any(row["task"] == GATHERER for row in rows)}
        failed = failed_tasks(run)[:MOST_FAILED]
    try:
        outputs = find_outputs(dag_id, run_id)
    except FileNotFoundError as error:
        described["missing"] = str(error)
        described |= _add_usage(dag_id, run_id, rows) if described["cwl"] else {}
    else:
        described |= {"outputs": outputs.describe(), "folder": outputs.folder, "no_crate": outputs.why_no_crate}
        for row in rows:
            row.update({name: value for name, value in outputs.steps.get(row["task"], {}).items() if name != "status"})
    how = {(row["task"], row["part"]): row.pop("failed", {}) for row in rows}
    return {
        **described,
        "failed": [
            {"task": task, "part": part, "why": why, **how.get((task, part), {})}
            for task, part, why in ((task, _part(number), why) for task, number, why in failed)
        ],
        "tasks": sorted(
            (row for row in rows if row["task"] not in (DISPATCHER, GATHERER)),
            key=lambda row: (row["start"] is None, row["start"] or "", row["task"]),
        ),
    }


def _add_usage(dag_id: str, run_id: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Add to tasks what their jobs took that have ended, and how they failed; say if it is not there any more."""
    if not any(row["task"] == DISPATCHER and row["state"] == "success" for row in rows):
        return {}
    try:
        usage = StepUsage(dag_id, run_id)
    except FileNotFoundError as error:
        return {"unknown": str(error)}
    shares: dict[str, list[Any]] = {}
    for row in rows:
        if row["operator"] == CWLScatterOperator.__name__:
            found = pushed(dag_id, run_id, row["task"])
            shares[step_task(row["task"])] = found if isinstance(found, list) else []
    for row in rows:
        if row["operator"] == CWLScatterJobsOperator.__name__:
            first = _first_job(shares.get(step_task(row["task"]), []), row["part"])
            known = usage.of_share(step_task(row["task"]), first) if first is not None else {}
        else:
            known = usage.of(row["task"])
        # Of a scattered step those of its jobs that have ended count before its own task begins.
        if row["state"] not in AT_WORK:
            row.update(known)
    return {}


def step_task(task: str) -> str:
    """Return the task that has the name of a scattered step, of one that comes before it."""
    return task.rstrip("_").rpartition(".")[0]


def _first_job(shares: list[Any], part: int | None) -> int | None:
    """Return the number of the first job of a share; none if nobody said."""
    share = shares[part] if part is not None and part < len(shares) else None
    return share[0] if isinstance(share, list) and share and isinstance(share[0], int) else None


def _part(number: int) -> int | None:
    return number if number >= 0 else None


def _describe_task(task: Any) -> dict[str, Any]:
    return {
        "task": task.task_id,
        "operator": task.operator,
        "part": _part(task.map_index),
        "state": str(task.state) if task.state else None,
        "start": task.start_date.isoformat() if task.start_date else None,
        "duration": task.duration,
        "queue": task.queue,
        "host": task.hostname,
        "tries": task.try_number,
    }
