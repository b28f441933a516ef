"""What the CWL API is sent and answers, as pydantic checks it and the specification shows it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from airflow.utils.state import DagRunState, TaskInstanceState
from pydantic import BaseModel, Field, WithJsonSchema

from .names import LONGEST

#: As Airflow writes it, with its offset: pydantic would write it anew.
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
WesState = Literal["QUEUED", "RUNNING", "COMPLETE", "EXECUTOR_ERROR"]


class DagInfo(BaseModel):
    """A DAG."""

    dag_id: str
    tasks: list[str]


class DagList(BaseModel):
    """Some DAGs."""

    dags: list[DagInfo]


class NewDag(BaseModel):
    """A DAG that was added, and its files."""

    dag_id: str
    dag_path: str
    cwl_path: str


class RunToStart(BaseModel):
    """What a run is started with."""

    # It may be left out, and may not be null.
    run_id: str = Field(None, max_length=LONGEST)  # type: ignore[assignment]
    conf: Any = Field(None, description='an object such as {"job": …}, or its JSON as text')
    token: str = Field(None, description="JSON Web Token of run_id and conf")  # type: ignore[assignment]


class NewRun(BaseModel):
    """A run."""

    dag_id: str
    run_id: str
    execution_date: Time
    start_date: Time | None = Field(description="null while the run waits")
    state: DagRunState


class TaskInfo(BaseModel):
    """A task of a run."""

    id: str
    state: TaskInstanceState | None = Field(description="null if nobody has looked at it yet")


class RunInfo(NewRun):
    """A run with its tasks."""

    tasks: list[TaskInfo]
    progress: int = Field(ge=0, le=100, description="tasks that succeeded, in percent")
    error: str = Field(description="of a run that failed: what its failed tasks say; else empty")


class RunInfoList(BaseModel):
    """Some runs."""

    dag_runs: list[RunInfo]


class WorkflowType(BaseModel):
    """Versions of a language of workflows."""

    workflow_type_version: list[str]


class ServiceInfo(BaseModel):
    """What runs here."""

    workflow_type_versions: dict[str, WorkflowType]
    supported_wes_versions: list[str]
    supported_filesystem_protocols: list[str]
    workflow_engine_versions: dict[str, str]


class RunId(BaseModel):
    """A run's name."""

    run_id: str


class RunStatus(RunId):
    """A run's state."""

    state: WesState


class RunList(BaseModel):
    """The states of runs."""

    runs: list[RunStatus]


class RunRequest(BaseModel):
    """What a run was started with."""

    workflow_params: dict[str, Any]


class Log(BaseModel):
    """A run or one of its tasks."""

    name: str
    start_time: Time = Field(None, description="left out while it waits")  # type: ignore[assignment]
    end_time: Time = Field(None, description="left out while it runs")  # type: ignore[assignment]
    system_logs: list[str] = Field(  # of WES 1.1
        None,  # type: ignore[arg-type]
        description="of a run that failed: what its failed tasks say",
    )


class RunLog(RunStatus):
    """A run with its outputs."""

    request: RunRequest
    run_log: Log
    task_logs: list[Log]
    outputs: dict[str, Any] = Field(description="empty until there are some")


class ProblemDetails(BaseModel):
    """A problem (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
