"""Routes for DAGs."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import Annotated

from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session
from fastapi import File, Form, Query, UploadFile
from pydantic import BeforeValidator

from .. import runs
from ..access import ADD, READ_DAG, STOP, TRIGGER, Rights, in_query, needs
from ..dag_files import all_or_nothing, check_new_dag_id, read_document, write_dag
from ..models import DagInfo, DagList, NewDag, NewRun
from ..names import LONGEST
from ..problems import Problem
from .route import IN_THE_WAY, NOT_THERE, make_router, refusal_answers

routes = make_router("DAGs and runs")

#: The document of a new DAG, in one of two forms.
Workflow = Annotated[UploadFile, File(description="the document, with all that it refers to in it")]
WorkflowContent = Annotated[
    str, Form(description="the same compressed by gzip or zlib, in base64, in place of the file")
]


def _split_at_commas(values: list[str]) -> list[str]:
    return [name for value in values for name in value.split(",")]


@routes.get("/dags", responses=refusal_answers(NOT_THERE))
@needs(READ_DAG)
def get_dags(
    dag_ids: Annotated[
        list[str] | None, BeforeValidator(_split_at_commas), Query(description="only these; by default all")
    ] = None,
) -> DagList:
    """List DAGs with their tasks."""
    with create_session() as session:
        known = SerializedDagModel.read_all_dags(session=session)
    wanted = dag_ids or sorted(known)
    if missing := [dag_id for dag_id in wanted if dag_id not in known]:
        raise Problem(404, f"There is no DAG '{missing[0]}'")
    return DagList(dags=[DagInfo(dag_id=dag_id, tasks=known[dag_id].task_ids) for dag_id in wanted])


@routes.post("/dags", responses=refusal_answers(IN_THE_WAY))
@needs(ADD, dag=in_query("dag_id"))
def post_dags(
    dag_id: Annotated[str | None, Query(description="of the new DAG; a random one by default")] = None,
    # They may be left out, and may not be null.
    workflow: Workflow = None,  # type: ignore[assignment]
    workflow_content: WorkflowContent = None,  # type: ignore[assignment]
) -> NewDag:
    """Add a DAG of a document."""
    name = dag_id or uuid.uuid4().hex
    check_new_dag_id(name)
    text = read_document(workflow, workflow_content)
    try:
        with all_or_nothing() as made:
            return write_dag(name, text, made)
    except FileExistsError as error:
        raise Problem(409, f"There is a DAG '{name}' already") from error


@routes.post("/dags/dag_runs", responses=refusal_answers(NOT_THERE, IN_THE_WAY))
@needs(ADD, TRIGGER, STOP, dag=in_query("dag_id"))  # a run of the same name makes way
def post_dags_dag_runs(
    rights: Rights,
    dag_id: Annotated[str, Query()],
    run_id: Annotated[str, Query(max_length=LONGEST)],
    conf: Annotated[str | None, Query(description='JSON such as {"job": …}')] = None,
    workflow: Workflow = None,  # type: ignore[assignment]
    workflow_content: WorkflowContent = None,  # type: ignore[assignment]
) -> NewRun:
    """Add a DAG of a document unless it is there, and start a run in place of one of the same name."""
    runs.check_new_run_id(run_id)
    settings = runs.parse_configuration(conf)
    check_new_dag_id(dag_id)
    runs.check_job(dag_id, settings, rights)  # before a run is stopped for it
    text = read_document(workflow, workflow_content)
    with all_or_nothing() as made:
        with suppress(FileExistsError):
            write_dag(dag_id, text, made)
        runs.stop_run(dag_id, run_id)
        return runs.trigger_run(dag_id, run_id, settings, rights)
