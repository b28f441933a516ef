"""What the page of a run shows: its outputs, what its steps took, and the job."""

from __future__ import annotations

from typing import Any

from airflow.models import DagRun, TaskInstance
from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from airflow.utils.session import create_session
from sqlalchemy import select

from ..callers import KEY
from ..dags.settings import CWLSettings
from ..documents.plan import DISPATCHER, GATHERER
from ..gate import Refused
from .outputs import RunOutputs


def find_outputs(dag_id: str, run_id: str) -> RunOutputs:
    """Return the outputs of a run.

    :raises FileNotFoundError: there are none (yet, or any more).
    """
    query = XComModel.get_many(run_id=run_id, dag_ids=dag_id, task_ids=GATHERER, key=XCOM_RETURN_KEY, limit=1)
    with create_session() as session:
        returned: Any = session.scalar(query)
        report = returned.value if returned is not None else None
    if not isinstance(report, str):
        raise FileNotFoundError("The run has no outputs.")
    try:
        return RunOutputs(report, CWLSettings.read({}).places.gate(dag_id), run_id)
    except (OSError, ValueError, RecursionError, Refused) as error:
        raise FileNotFoundError(f"The outputs are not there any more: {error}") from error


def describe_run(dag_id: str, run_id: str) -> dict[str, Any]:
    """Return what the page of a run shows.

    :returns: ``state``; ``conf`` with which the same can be started again; ``tasks`` in the order of their start;
        ``outputs`` and their ``folder``, or ``missing``, which says why there are none.
    :raises FileNotFoundError: there is no such run.
    """
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None:
            raise FileNotFoundError(f"There is no run '{run_id}'.")
        conf = {name: value for name, value in (run.conf or {}).items() if name != KEY}
        tasks = list(
            session.scalars(select(TaskInstance).where(TaskInstance.run_id == run_id, TaskInstance.dag_id == dag_id))
        )
        described = {"state": str(run.state), "conf": conf, "tasks": [_describe_task(task) for task in tasks]}
    cwl = any(task["task"] == GATHERER for task in described["tasks"])
    described["tasks"] = sorted(
        (each for each in described["tasks"] if each["task"] not in (DISPATCHER, GATHERER)),
        key=lambda each: (each["start"] is None, each["start"] or "", each["task"]),
    )
    try:
        outputs = find_outputs(dag_id, run_id)
    except FileNotFoundError as error:
        return {**described, "cwl": cwl, "missing": str(error)}
    for task in described["tasks"]:
        task.update({name: value for name, value in outputs.steps.get(task["task"], {}).items() if name != "status"})
    return {**described, "cwl": cwl, "outputs": outputs.describe(), "folder": outputs.folder}


def _describe_task(task: Any) -> dict[str, Any]:
    return {
        "task": task.task_id,
        "part": task.map_index if task.map_index >= 0 else None,
        "state": str(task.state) if task.state else None,
        "start": task.start_date.isoformat() if task.start_date else None,
        "duration": task.duration,
        "queue": task.queue,
        "host": task.hostname,
        "tries": task.try_number,
    }
