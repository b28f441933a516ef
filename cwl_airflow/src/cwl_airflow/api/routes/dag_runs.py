"""Routes for runs of DAGs."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.models import DagRun
from airflow.sdk import timezone
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from fastapi import Query
from pydantic import WithJsonSchema

from ...dags.notes import failure_lines
from ..access import READ_DAG, READ_RUN, TRIGGER, Rights, in_body, in_path, in_query, needs
from ..models import NewRun, RunInfo, RunInfoList, RunToStart, TaskInfo
from ..names import LONGEST
from ..problems import Problem
from ..runs import execution_date as time_of_run
from ..runs import run_reference, trigger_or_stop
from .route import IN_THE_WAY, NOT_THERE, make_router, refusal_answers

routes = make_router("DAGs and runs")


@routes.get("/dag_runs", responses=refusal_answers())
# Airflow asks for a DAG that is named only, and this shows the runs of all where none is.
@needs(READ_DAG, READ_RUN, dag=in_query("dag_id"))
def get_dag_runs(
    dag_id: Annotated[str | None, Query(description="only runs of this DAG")] = None,
    run_id: Annotated[str | None, Query(description="only runs of this name")] = None,
    execution_date: Annotated[
        str | None,
        Query(description="only runs of this time"),
        WithJsonSchema({"type": "string", "format": "date-time"}),
    ] = None,
    state: Annotated[DagRunState | None, Query(description="only runs in this state")] = None,
) -> RunInfoList:
    """List runs with the states of their tasks, those that queue as well."""
    at = None if execution_date is None else _parse_time(execution_date)
    with create_session() as session:
        found = DagRun.find(dag_id=dag_id, run_id=run_id, state=state, session=session)
        return RunInfoList(
            dag_runs=[
                _run_info(run, run.get_task_instances(session=session))
                for run in found
                if at is None or at == time_of_run(run)
            ]
        )


@routes.post("/dag_runs", responses=refusal_answers(NOT_THERE, IN_THE_WAY))
@needs(TRIGGER, dag=in_query("dag_id"), stops=in_query("conf"))
def post_dag_runs(
    rights: Rights,
    dag_id: Annotated[str, Query()],
    run_id: Annotated[
        str | None, Query(max_length=LONGEST, description="of the new run; made of the time by default")
    ] = None,
    conf: Annotated[str | None, Query(description='JSON such as {"job": …}')] = None,
) -> NewRun:
    """Start a run.

    With `clean_dag_run` as `dag_id` it stops the run that `conf` names and removes it.
    """
    return trigger_or_stop(dag_id, run_id, conf, rights)


@routes.post("/dags/{dag_id}/dag_runs", responses=refusal_answers(NOT_THERE, IN_THE_WAY))
@needs(TRIGGER, dag=in_path("dag_id"), stops=in_body("conf"), takes_trigger_token=True)
def post_dag_runs_legacy(rights: Rights, dag_id: str, run: RunToStart) -> NewRun:
    """Start a run, as Airflow's experimental API did.

    With a `token` no login is needed.
    """
    return trigger_or_stop(dag_id, run.run_id, run.conf, rights)


def _parse_time(text: str) -> Any:
    try:
        return timezone.parse(text)
    except (ValueError, OverflowError) as error:
        raise Problem(400, "execution_date must be a time like 2024-01-31T12:00:00+00:00") from error


def _run_info(run: Any, tasks: list[Any]) -> RunInfo:
    done = sum(task.state == "success" for task in tasks)
    return RunInfo(
        **run_reference(run),
        tasks=[TaskInfo(id=task.task_id, state=task.state) for task in tasks],
        progress=100 * done // len(tasks) if tasks else 0,
        error="; ".join(failure_lines(run)) if run.state == DagRunState.FAILED else "",
    )
