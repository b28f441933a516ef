"""Starting and stopping runs."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from airflow.api.common.trigger_dag import trigger_dag
from airflow.exceptions import DagNotFound, DagRunAlreadyExists
from airflow.sdk.exceptions import AirflowException
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy.exc import DataError, IntegrityError

from .. import strict_json
from ..callers import Caller, acting_as
from ..dags.settings import CWLSettings
from ..gate import Refused
from ..gate.job import check_job as check_at_gate
from ..stopping.model import NotStopped
from ..stopping.site import stop_run as end_run
from .limits import LARGEST_JOB
from .models import NewRun
from .names import check_run_id
from .problems import Problem
from .stop import CLEAN_DAG_RUN, target


def parse_configuration(conf: Any) -> dict[str, Any]:
    """Return the configuration of a run, which may come as text.

    :raises Problem: it is not like ``{"job": …}``.
    """
    try:
        settings = strict_json.loads(conf) if isinstance(conf, str) else conf
    except ValueError as error:
        raise Problem(400, f"conf cannot be read: {error}") from error
    if settings is None:
        return {"job": {}}
    if not isinstance(settings, dict):
        raise Problem(400, 'conf must be an object like {"job": …}')
    return settings


def check_new_run_id(run_id: str | None) -> None:
    """Refuse what cannot be the name of a new run.

    :raises Problem: says why.
    """
    try:
        check_run_id(run_id or "")
    except ValueError as error:
        raise Problem(400, str(error)) from error


def check_job(dag_id: str, conf: dict[str, Any], caller: Caller) -> None:
    """Refuse a job that its run would refuse, as far as can be seen from here.

    :raises Problem: says which path, and what would allow it; or that it is too large.
    """
    if len(json.dumps(conf)) > LARGEST_JOB:
        raise Problem(413, f"conf has more than {LARGEST_JOB // 2**20} MiB: name a job file on the host as its 'job'")
    settings = CWLSettings.read({})
    try:
        gate = settings.places.gate(dag_id, reads=caller.reads)
        check_at_gate(conf.get("job"), gate, str(settings.inputs_folder), caller.documents)
    except Refused as error:
        raise Problem(403, str(error)) from error
    except (OSError, ValueError):
        pass  # the first task says so, on a host that has the files


def trigger_run(dag_id: str, run_id: str | None, settings: dict[str, Any], caller: Caller) -> NewRun:
    """Start a run.

    :param run_id: its name, by default made of the time.
    :param settings: its configuration.
    :param caller: who starts it.
    :raises Problem: it cannot be started.
    """
    check_new_run_id(run_id)
    check_job(dag_id, settings, caller)
    now = datetime.now(timezone.utc)
    try:
        with acting_as(caller):
            run = trigger_dag(
                dag_id=dag_id,
                run_id=run_id,
                conf=settings,
                # Airflow asks for none, and templates of a DAG file such as `{{ ds }}` do.
                logical_date=now,
                run_after=now,
                replace_microseconds=False,
                triggered_by=DagRunTriggeredByType.REST_API,
                triggering_user_name=caller.name,
            )
    except DagNotFound as error:
        raise Problem(404, f"There is no DAG '{dag_id}'") from error
    except (DagRunAlreadyExists, IntegrityError) as error:
        raise Problem(409, f"DAG '{dag_id}' has a run '{run_id}' already") from error
    except DataError as error:
        raise Problem(413, "conf is more than Airflow's database can store") from error
    except (AirflowException, ValueError) as error:
        raise Problem(400, str(error)) from error
    return NewRun(**run_reference(run))


def trigger_or_stop(dag_id: str, run_id: str | None, conf: Any, caller: Caller) -> NewRun:
    """Start a run; with `CLEAN_DAG_RUN` as DAG stop the one that the configuration names.

    :raises Problem: it cannot be started or stopped.
    """
    if dag_id != CLEAN_DAG_RUN:
        return trigger_run(dag_id, run_id, parse_configuration(conf), caller)
    try:
        stopped = target(conf)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    began = datetime.now(timezone.utc).isoformat()
    stop_run(*stopped)
    return NewRun(
        dag_id=dag_id,
        run_id=run_id or f"manual__{began}",
        execution_date=began,
        start_date=began,
        state=DagRunState.SUCCESS,
    )


def stop_run(dag_id: str, run_id: str) -> None:
    """Stop a run and remove it; there may be none.

    :raises Problem: something of it is still alive.
    """
    try:
        end_run(dag_id, run_id)
    except NotStopped as error:
        raise Problem(409, str(error)) from error


def execution_date(run: Any) -> datetime:
    """Return the time of a run of Airflow; one that somebody else started may have none but that when it may begin."""
    date: datetime = run.logical_date or run.run_after
    return date


def run_reference(run: Any) -> dict[str, Any]:
    """Return what is told of a run of Airflow."""
    return {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "execution_date": execution_date(run).isoformat(),
        "start_date": run.start_date.isoformat() if run.start_date else None,
        "state": run.state,
    }
