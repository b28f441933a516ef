"""Routes of the Workflow Execution Service (WES).

Source: https://ga4gh.github.io/workflow-execution-service-schemas/ (1.0.0)
"""

from __future__ import annotations

import shutil
import sys
import uuid
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any

from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
from airflow.models import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from fastapi import File, Form, Query, UploadFile
from sqlalchemy.orm import Session

from ... import strict_json
from ...dags.notes import failure_lines
from ...dags.reported import find_report
from ...dags.settings import CWLSettings
from ...documents.plan import STATISTICS
from ...gate.places import ATTACHMENTS
from .. import attachments
from ..access import ADD, READ_DAG, READ_RUN, STOP, TRIGGER, Rights, in_path, needs
from ..dag_files import all_or_nothing, make_dag
from ..models import Log, RunId, RunList, RunLog, RunRequest, RunStatus, ServiceInfo, WesState, WorkflowType
from ..problems import Problem
from ..runs import trigger_run
from .route import IN_THE_WAY, NOT_THERE, make_router, refusal_answers

routes = make_router("Workflow Execution Service")

STATES: dict[str, WesState] = {
    "queued": "QUEUED",
    "running": "RUNNING",
    "success": "COMPLETE",
    "failed": "EXECUTOR_ERROR",
}


@dataclass(frozen=True)
class _Attached:
    """A file of a request, as `attachments` takes it."""

    upload: UploadFile

    @property
    def filename(self) -> str | None:
        """What the client calls it."""
        name: str | None = self.upload.filename
        return name

    def save(self, stream: Any) -> None:
        """Write it to a stream."""
        shutil.copyfileobj(self.upload.file, stream)


@routes.get("/service-info", responses=refusal_answers())
@needs(READ_DAG)
def wes_get_service_info() -> ServiceInfo:
    """Say what runs here."""
    return ServiceInfo(
        workflow_type_versions={"CWL": WorkflowType(workflow_type_version=["v1.0", "v1.1", "v1.2"])},
        supported_wes_versions=["1.0.0"],
        supported_filesystem_protocols=["file"],
        workflow_engine_versions={name: version(name) for name in ("cwl-airflow", "cwltool")},
    )


@routes.get("/runs", responses=refusal_answers())
@needs(READ_DAG, READ_RUN)
def wes_list_runs(
    page_size: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="all runs are on one page")] = None,
    page_token: Annotated[str | None, Query(description="all runs are on one page")] = None,
) -> RunList:
    """List all runs with their states."""
    with create_session() as session:
        found = DagRun.find(session=session)
        return RunList(runs=[RunStatus(run_id=run.run_id, state=STATES[run.state]) for run in found])


@routes.post("/runs", responses=refusal_answers())
@needs(ADD, TRIGGER)
def wes_run_workflow(
    rights: Rights,
    workflow_params: Annotated[str, Form(description="the job, in JSON")],
    workflow_url: Annotated[str, Form(description="which attachment is the document")],
    workflow_attachment: Annotated[list[UploadFile], File(description="the document and files")],
    workflow_type: Annotated[str, Form(description="CWL")] = "CWL",
    workflow_type_version: Annotated[str, Form(description="the document says it")] = "",
    tags: Annotated[str, Form(description="not used")] = "{}",
    workflow_engine_parameters: Annotated[str, Form(description="not used")] = "{}",
) -> RunId:
    """Run a document that comes with its files."""
    try:
        job = strict_json.loads(workflow_params)
    except ValueError as error:
        raise Problem(400, f"workflow_params cannot be read: {error}") from error
    if not isinstance(job, dict):
        raise Problem(400, "workflow_params must be an object")
    run_id = uuid.uuid4().hex
    folder = CWLSettings.read({}).tmp_folder / ATTACHMENTS / run_id
    names = [str(upload.filename) for upload in workflow_attachment]
    with all_or_nothing() as made:
        made.append(folder)
        try:
            document = attachments.check_document(workflow_url, names)
            attachments.save(map(_Attached, workflow_attachment), folder)
        except ValueError as error:
            raise Problem(400, str(error)) from error
        make_dag(run_id, f"{folder}/{document}", made)
        trigger_run(run_id, run_id, {"job": attachments.placed(job, folder)}, rights)
    return RunId(run_id=run_id)


@routes.get("/runs/{run_id}", responses=refusal_answers(NOT_THERE), response_model_exclude_unset=True)
@needs(READ_RUN, dag=in_path("run_id"))  # a run of WES is the only one of a DAG of the same name
def wes_get_run_log(run_id: str) -> RunLog:
    """Show a run with its outputs."""
    with create_session() as session:
        run = _find_run(run_id, session)
        tasks = run.get_task_instances(session=session)
        why = {"system_logs": failure_lines(run)} if run.state == DagRunState.FAILED else {}
    job = (run.conf or {}).get("job")
    times = {"start_time": run.start_date, "end_time": run.end_date}
    told = {name: time.isoformat() for name, time in times.items() if time}
    return RunLog(
        run_id=run_id,
        request=RunRequest(workflow_params=job if isinstance(job, dict) else {}),
        state=STATES[run.state],
        run_log=Log.model_validate({"name": run_id} | told | why),
        task_logs=[Log.model_validate({"name": task.task_id}) for task in tasks],
        outputs=_read_outputs(run_id),
    )


@routes.post("/runs/{run_id}/cancel", responses=refusal_answers(NOT_THERE, IN_THE_WAY))
@needs(STOP, dag=in_path("run_id"))
def wes_cancel_run(run_id: str) -> RunId:
    """End a run, on whichever workers it is."""
    with create_session() as session:
        _find_run(run_id, session)
    dag = SerializedDagModel.get_dag(run_id)
    if dag is None:
        raise Problem(409, f"The DAG of run '{run_id}' is gone: cwl-airflow-stop stops the run")
    set_dag_run_state_to_failed(dag=dag, run_id=run_id, commit=True)
    return RunId(run_id=run_id)


@routes.get("/runs/{run_id}/status", responses=refusal_answers(NOT_THERE))
@needs(READ_RUN, dag=in_path("run_id"))
def wes_get_run_status(run_id: str) -> RunStatus:
    """Show the state of a run."""
    with create_session() as session:
        return RunStatus(run_id=run_id, state=STATES[_find_run(run_id, session).state])


def _find_run(run_id: str, session: Session) -> Any:
    for run in DagRun.find(dag_id=run_id, run_id=run_id, session=session):
        return run
    raise Problem(404, f"There is no run '{run_id}'")


def _read_outputs(run_id: str) -> Any:
    """Return the outputs of a run, if it has some yet and they are still there."""
    with suppress(FileNotFoundError):
        report = find_report(run_id, run_id, most=sys.maxsize)
        statistics = {name: value for name, value in report.statistics.items() if name not in ("document", "job")}
        return {**report.values, **({STATISTICS: statistics} if statistics else {})}
    return {}
