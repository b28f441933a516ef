"""What the CWL API does: upstream's operations, on this engine and on Airflow of today."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any

import connexion
from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
from airflow.api.common.trigger_dag import trigger_dag
from airflow.configuration import conf
from airflow.exceptions import AirflowException, DagNotFound, DagRunAlreadyExists, ParamValidationError
from airflow.models import DagBag, DagRun
from airflow.models.base import ID_LEN
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils import timezone
from airflow.utils.helpers import validate_key
from airflow.utils.session import create_session
from cwl_airflow.components.api.backend import CWLApiBackend
from flask import g, request
from sqlalchemy.exc import IntegrityError

from ..callers import NOBODY, Caller, acting
from ..engine.dag import CWLDAG
from ..engine.settings import Settings
from ..gate import Refused
from ..gate.job import check_job
from ..stopping import NotStopped, stop_run
from .stop import CLEAN_DAG_RUN, target

DAG = """\
from cwl_airflow.extensions.cwldag import CWLDAG

dag = CWLDAG(workflow={workflow!r}, dag_id={dag_id!r})
"""
WES_STATES = {"queued": "QUEUED", "running": "RUNNING", "success": "COMPLETE", "failed": "EXECUTOR_ERROR"}


class Problem(connexion.ProblemException):  # type: ignore[misc]  # connexion is not typed
    """What is answered instead."""

    def __init__(self, status: int, detail: str) -> None:
        """Answer with a status of HTTP and a message."""
        super().__init__(status=status, title=HTTPStatus(status).phrase, detail=detail)


class Handlers(CWLApiBackend):  # type: ignore[misc]  # upstream is not typed
    """A method for each operation of upstream's specification."""

    def __init__(self) -> None:
        """Take upstream's, without its simulation of runs."""
        super().__init__()
        self.wes_state_conversion = WES_STATES

    def get_dags(self, dag_ids: Iterable[str] = ()) -> Any:
        """Return DAGs with their tasks, all by default."""
        with create_session() as session:
            known = SerializedDagModel.read_all_dags(session=session)
        wanted = list(dag_ids) or sorted(known)
        if missing := [dag_id for dag_id in wanted if dag_id not in known]:
            raise Problem(404, f"There is no DAG '{missing[0]}'.")
        return {"dags": [{"dag_id": dag_id, "tasks": known[dag_id].task_ids} for dag_id in wanted]}

    def get_dag_runs(
        self,
        dag_id: str | None = None,
        run_id: str | None = None,
        execution_date: str | None = None,
        state: str | None = None,
    ) -> Any:
        """Return runs with the states of their tasks, those that queue as well."""
        with create_session() as session:
            runs = DagRun.find(dag_id=dag_id, run_id=run_id, state=state, session=session)
            return {
                "dag_runs": [
                    _described(run, run.get_task_instances(session=session))
                    for run in runs
                    if not execution_date or execution_date == run.execution_date.isoformat()
                ]
            }

    def post_dags(self, dag_id: str | None = None) -> Any:
        """Add a DAG of the document in the request."""
        return self._add_dag(dag_id or uuid.uuid4().hex)

    def post_dag_runs(self, dag_id: str, run_id: str | None = None, conf: Any = None) -> Any:
        """Trigger a DAG, or stop a run."""
        if dag_id == CLEAN_DAG_RUN:
            return self._stop(run_id, conf)
        return self._trigger(dag_id, run_id, {"job": {}} if conf is None else conf)

    def post_dag_runs_legacy(self, dag_id: str) -> Any:
        """Trigger a DAG, as Airflow's experimental API did."""
        body = request.get_json()
        if not isinstance(body, dict):
            raise Problem(400, 'The body must be like {"run_id": "…", "conf": "{\\"job\\": …}"}.')
        return self.post_dag_runs(dag_id, body.get("run_id"), body.get("conf"))

    def post_dags_dag_runs(self, dag_id: str, run_id: str, conf: Any = None) -> Any:
        """Add a DAG unless it is there, and trigger it in place of a run of the same name."""
        with suppress(FileExistsError):
            self._write_dag(dag_id)
        _stop_run(dag_id, run_id)
        return self.post_dag_runs(dag_id, run_id, conf)

    def wes_get_service_info(self) -> Any:
        """Return what runs here."""
        return {
            "workflow_type_versions": {"CWL": {"workflow_type_version": ["v1.0", "v1.1", "v1.2"]}},
            "supported_wes_versions": ["1.0.0"],
            "supported_filesystem_protocols": ["file"],
            "workflow_engine_versions": {name: version(name) for name in ("cwl-airflow", "cwltool")},
        }

    def wes_run_workflow(self) -> Any:
        """Run a document that comes with its attachments, as a DAG of its own."""
        run_id = uuid.uuid4().hex
        try:
            _, body = self.wes_collect_attachments(run_id)
        except (ValueError, OSError) as error:
            raise Problem(400, str(error)) from error
        job = {name: value for name, value in body["workflow_params"].items() if name not in ("id", "__id")}
        self._make_dag(run_id, body["workflow_url"])
        self._trigger(run_id, run_id, {"job": job})
        return {"run_id": run_id}

    def wes_get_run_status(self, run_id: str) -> Any:
        """Return the state of a run."""
        return {"run_id": run_id, "state": WES_STATES[_wes_run(run_id).state]}

    def wes_get_run_log(self, run_id: str) -> Any:
        """Return a run with its outputs, if it has some yet."""
        run = _wes_run(run_id)
        report = run.get_task_instance("CWLJobGatherer").xcom_pull(task_ids="CWLJobGatherer")
        return {
            "run_id": run_id,
            "request": {"workflow_params": run.conf["job"]},
            "state": WES_STATES[run.state],
            "run_log": {"name": run_id, "start_time": _iso(run.start_date), "end_time": _iso(run.end_date)},
            "task_logs": [{"name": task.task_id} for task in run.get_task_instances()],
            "outputs": json.loads(Path(report).read_text(encoding="utf-8")) if report else {},
        }

    def wes_cancel_run(self, run_id: str) -> Any:
        """Mark a run as failed, which ends what it runs, on whichever worker."""
        _wes_run(run_id)
        set_dag_run_state_to_failed(dag=SerializedDagModel.get_dag(run_id), run_id=run_id, commit=True)
        return {"run_id": run_id}

    def _stop(self, run_id: str | None, conf: Any) -> Any:
        try:
            dag_id, of_run = target(conf)
        except ValueError as error:
            raise Problem(400, str(error)) from error
        began = timezone.utcnow().isoformat()
        _stop_run(dag_id, of_run)
        return {
            "dag_id": CLEAN_DAG_RUN,
            "run_id": run_id,
            "execution_date": began,
            "start_date": began,
            "state": "success",
        }

    def _trigger(self, dag_id: str, run_id: str | None, conf: Any) -> Any:
        try:
            settings = json.loads(conf) if isinstance(conf, str) else conf
        except ValueError as error:
            raise Problem(400, f"conf is not JSON: {error}") from error
        if not isinstance(settings, dict):
            raise Problem(400, 'conf must be an object like {"job": …}.')
        if run_id and len(run_id) > ID_LEN:
            raise Problem(400, f"run_id has more than {ID_LEN} characters.")
        caller = g.get("rights", NOBODY)
        _check_job(dag_id, settings, caller)
        try:
            with acting(caller):
                run = trigger_dag(dag_id=dag_id, run_id=run_id, conf=settings, replace_microseconds=False)
        except DagNotFound as error:
            raise Problem(404, f"There is no DAG '{dag_id}'.") from error
        except (DagRunAlreadyExists, IntegrityError) as error:
            raise Problem(409, f"DAG '{dag_id}' has a run '{run_id}' already.") from error
        except (AirflowException, ParamValidationError, ValueError) as error:
            raise Problem(400, str(error)) from error
        return _reference(run)

    def _add_dag(self, dag_id: str) -> Any:
        try:
            return self._write_dag(dag_id)
        except FileExistsError as error:
            raise Problem(409, f"There is a DAG '{dag_id}' already.") from error

    def _write_dag(self, dag_id: str) -> dict[str, str]:
        """Write the document of the request and its DAG file.

        :raises FileExistsError: one of them is there, or the DAG in another file.
        """
        _check_name(dag_id)
        document, content = request.files.get("workflow"), request.form.get("workflow_content")
        if (document is None) == (content is None):
            raise Problem(400, "The request must have either 'workflow' or 'workflow_content'.")
        if _file(dag_id).exists() or SerializedDagModel.has_dag(dag_id):
            raise FileExistsError(dag_id)
        if document is None:
            return self._make_dag(dag_id, str(content))
        path = _folder() / f"{dag_id}.cwl"
        with path.open("xb") as stream:
            document.save(stream)
        try:
            return self._make_dag(dag_id, str(path))
        except BaseException:
            path.unlink()
            raise

    def _make_dag(self, dag_id: str, workflow: str) -> dict[str, str]:
        """Write a DAG file, and let Airflow know the DAG now, which its scheduler reads within seconds."""
        file = _file(dag_id)
        try:
            dag = CWLDAG(dag_id=dag_id, workflow=workflow)
        except Exception as error:  # cwltool, schema-salad and YAML have their own
            raise Problem(400, f"The document cannot be read: {' '.join(str(error).split())}") from error
        file.touch(exist_ok=False)
        try:
            file.write_text(DAG.format(workflow=workflow, dag_id=dag_id), encoding="utf-8")
            dag.fileloc = str(file)
            bag = DagBag(dag_folder=os.devnull, include_examples=False)
            bag.bag_dag(dag=dag, root_dag=dag)
            bag.sync_to_db()
            if bag.import_errors:
                raise Problem(500, f"DAG '{dag_id}' cannot be stored: the log of the service says why.")
        except BaseException:
            file.unlink()
            raise
        return {"dag_id": dag_id, "cwl_path": workflow, "dag_path": str(file)}


def _check_job(dag_id: str, conf: dict[str, Any], caller: Caller) -> None:
    """Refuse a job that its run would refuse, as far as can be seen from here."""
    settings = Settings.of({})
    gate = settings.places.gate(dag_id, reads=caller.reads)
    try:
        check_job(conf.get("job"), gate, str(settings.inputs_folder), caller.documents)
    except Refused as error:
        raise Problem(403, str(error)) from error
    except (OSError, ValueError):
        pass  # the first task says so, on a host that has the files


def _folder() -> Path:
    return Path(conf.get("core", "dags_folder"))


def _file(dag_id: str) -> Path:
    return _folder() / f"{dag_id}.py"


def _check_name(dag_id: str) -> None:
    if dag_id == CLEAN_DAG_RUN:
        raise Problem(400, f"dag_id: '{CLEAN_DAG_RUN}' stops a run and cannot be a DAG.")
    try:
        validate_key(dag_id)
    except AirflowException as error:
        raise Problem(400, f"dag_id: {error}") from error


def _stop_run(dag_id: str, run_id: str) -> None:
    try:
        stop_run(dag_id, run_id)
    except NotStopped as error:
        raise Problem(409, str(error)) from error


def _wes_run(run_id: str) -> Any:
    for run in DagRun.find(dag_id=run_id, run_id=run_id):
        return run
    raise Problem(404, f"There is no run '{run_id}'.")


def _iso(time: Any) -> str | None:
    return time.isoformat() if time else None


def _reference(run: Any) -> dict[str, Any]:
    return {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "execution_date": run.execution_date.isoformat(),
        "start_date": _iso(run.start_date),
        "state": run.state,
    }


def _described(run: Any, tasks: list[Any]) -> dict[str, Any]:
    done = sum(task.state == "success" for task in tasks)
    return {
        **_reference(run),
        "tasks": [{"id": task.task_id, "state": task.state} for task in tasks],
        "progress": 100 * done // len(tasks) if tasks else 0,
    }
