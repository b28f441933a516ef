"""What the CWL API does: a method for each of its operations."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any

import connexion
from airflow.api.common.delete_dag import delete_dag
from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
from airflow.api.common.trigger_dag import trigger_dag
from airflow.configuration import conf
from airflow.exceptions import AirflowException, DagNotFound, DagRunAlreadyExists, ParamValidationError
from airflow.models import DagBag, DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils import timezone
from airflow.utils.session import create_session
from flask import g, request
from sqlalchemy.exc import DataError, IntegrityError

from .. import strict_json
from ..callers import NOBODY, Caller, acting
from ..dags.dag import CWLDAG
from ..dags.settings import CWLSettings
from ..documents.embedded import embedded_text
from ..gate import Refused
from ..gate.job import check_job
from ..gate.places import ATTACHMENTS
from ..stopping import NotStopped, stop_run
from . import attachments
from .names import check_dag_id, check_run_id
from .problems import one_line
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
        super().__init__(status=status, title=HTTPStatus(status).phrase, detail=f"{one_line(detail)}.")


class Handlers:
    """A method for each operation of the specification."""

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
        at = _time(execution_date) if execution_date else None
        with create_session() as session:
            runs = DagRun.find(dag_id=dag_id, run_id=run_id, state=state, session=session)
            return {
                "dag_runs": [
                    _described(run, run.get_task_instances(session=session))
                    for run in runs
                    if at is None or at == run.execution_date
                ]
            }

    def post_dags(self, dag_id: str | None = None) -> Any:
        """Add a DAG of the document in the request."""
        return self._add_dag(dag_id or uuid.uuid4().hex)

    def post_dag_runs(self, dag_id: str, run_id: str | None = None, conf: Any = None) -> Any:
        """Trigger a DAG, or stop a run."""
        if dag_id == CLEAN_DAG_RUN:
            return self._stop(run_id, conf)
        return self._trigger(dag_id, run_id, _settings(conf))

    def post_dag_runs_legacy(self, dag_id: str) -> Any:
        """Trigger a DAG, as Airflow's experimental API did."""
        body = request.get_json()
        if not isinstance(body, dict):
            raise Problem(400, 'The body must be like {"run_id": "…", "conf": "{\\"job\\": …}"}.')
        return self.post_dag_runs(dag_id, body.get("run_id"), body.get("conf"))

    def post_dags_dag_runs(self, dag_id: str, run_id: str, conf: Any = None) -> Any:
        """Add a DAG unless it is there, and trigger it in place of a run of the same name."""
        _check_run(run_id)
        settings = _settings(conf)
        if not SerializedDagModel.has_dag(dag_id):
            _check_dag(dag_id)
        _check_job(dag_id, settings, g.get("rights", NOBODY))  # before a run is stopped for it
        with _all_or_nothing() as made:
            with suppress(FileExistsError):
                self._write_dag(dag_id, made)
            _stop_run(dag_id, run_id)
            return self._trigger(dag_id, run_id, settings)

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
        folder = CWLSettings.read({}).tmp_folder / ATTACHMENTS / run_id
        uploads = request.files.getlist("workflow_attachment")
        try:
            job = strict_json.loads(_one("workflow_params"))
        except ValueError as error:
            raise Problem(400, f"workflow_params cannot be read: {error}.") from error
        if not isinstance(job, dict):
            raise Problem(400, "workflow_params must be an object.")
        with _all_or_nothing() as made:
            made.append(folder)
            try:
                document = attachments.check_document(_one("workflow_url"), [upload.filename for upload in uploads])
                attachments.save(uploads, folder)
            except ValueError as error:
                raise Problem(400, str(error)) from error
            self._make_dag(run_id, f"{folder}/{document}", made)
            self._trigger(run_id, run_id, {"job": attachments.placed(job, folder)})
        return {"run_id": run_id}

    def wes_list_runs(self, page_size: int | None = None, page_token: str | None = None) -> Any:
        """Return the states of all runs, on one page."""
        with create_session() as session:
            runs = DagRun.find(session=session)
            return {"runs": [{"run_id": run.run_id, "state": WES_STATES[run.state]} for run in runs]}

    def wes_get_run_status(self, run_id: str) -> Any:
        """Return the state of a run."""
        return {"run_id": run_id, "state": WES_STATES[_wes_run(run_id).state]}

    def wes_get_run_log(self, run_id: str) -> Any:
        """Return a run with its outputs, if it has some yet."""
        run = _wes_run(run_id)
        tasks = run.get_task_instances()
        job = (run.conf or {}).get("job")
        times = {"start_time": _iso(run.start_date), "end_time": _iso(run.end_date)}
        return {
            "run_id": run_id,
            "request": {"workflow_params": job if isinstance(job, dict) else {}},
            "state": WES_STATES[run.state],
            "run_log": {"name": run_id} | {name: time for name, time in times.items() if time},
            "task_logs": [{"name": task.task_id} for task in tasks],
            "outputs": _outputs(tasks),
        }

    def wes_cancel_run(self, run_id: str) -> Any:
        """Mark a run as failed, which ends what it runs, on whichever worker."""
        _wes_run(run_id)
        dag = SerializedDagModel.get_dag(run_id)
        if dag is None:
            raise Problem(409, f"The DAG of run '{run_id}' is gone: cwl-airflow-stop stops the run.")
        set_dag_run_state_to_failed(dag=dag, run_id=run_id, commit=True)
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
            "run_id": run_id or f"manual__{began}",
            "execution_date": began,
            "start_date": began,
            "state": "success",
        }

    def _trigger(self, dag_id: str, run_id: str | None, settings: dict[str, Any]) -> Any:
        _check_run(run_id)
        caller = g.get("rights", NOBODY)
        _check_job(dag_id, settings, caller)
        try:
            with acting(caller):
                run = trigger_dag(dag_id=dag_id, run_id=run_id, conf=settings, replace_microseconds=False)
        except DagNotFound as error:
            raise Problem(404, f"There is no DAG '{dag_id}'.") from error
        except (DagRunAlreadyExists, IntegrityError) as error:
            raise Problem(409, f"DAG '{dag_id}' has a run '{run_id}' already.") from error
        except DataError as error:  # Airflow's column for it is a BLOB
            raise Problem(413, "conf has more than 64 KiB, which Airflow's database cannot store.") from error
        except (AirflowException, ParamValidationError, ValueError) as error:
            raise Problem(400, str(error)) from error
        return _reference(run)

    def _add_dag(self, dag_id: str) -> Any:
        try:
            with _all_or_nothing() as made:
                return self._write_dag(dag_id, made)
        except FileExistsError as error:
            raise Problem(409, f"There is a DAG '{dag_id}' already.") from error

    def _write_dag(self, dag_id: str, made: list[str | Path]) -> dict[str, str]:
        """Write the document of the request and its DAG file.

        :param made: what is there now and was not before is added to it, see `_all_or_nothing`.
        :raises FileExistsError: one of them is there, or the DAG in another file.
        """
        _check_dag(dag_id)
        text = _document()
        path = _folder() / f"{dag_id}.cwl"
        if _file(dag_id).exists() or path.exists() or SerializedDagModel.has_dag(dag_id):
            raise FileExistsError(dag_id)
        path.touch(exist_ok=False)
        made.append(path)
        path.write_bytes(text)
        return self._make_dag(dag_id, str(path), made)

    def _make_dag(self, dag_id: str, workflow: str, made: list[str | Path]) -> dict[str, str]:
        """Write a DAG file, and let Airflow know the DAG now, which its scheduler reads within seconds."""
        file = _file(dag_id)
        try:
            dag = CWLDAG(dag_id=dag_id, workflow=workflow)
        except Exception as error:  # cwltool, schema-salad and YAML have their own
            raise Problem(400, f"The document cannot be read: {one_line(error)}") from error
        file.touch(exist_ok=False)
        made += [file, dag_id]
        file.write_text(DAG.format(workflow=workflow, dag_id=dag_id), encoding="utf-8")
        dag.fileloc = str(file)
        bag = DagBag(dag_folder=os.devnull, include_examples=False)
        bag.bag_dag(dag=dag, root_dag=dag)
        bag.sync_to_db()
        if bag.import_errors:
            raise Problem(500, f"DAG '{dag_id}' cannot be stored: the log of the service says why.")
        return {"dag_id": dag_id, "cwl_path": workflow, "dag_path": str(file)}


def _check_job(dag_id: str, conf: dict[str, Any], caller: Caller) -> None:
    """Refuse a job that its run would refuse, as far as can be seen from here."""
    settings = CWLSettings.read({})
    try:
        gate = settings.places.gate(dag_id, reads=caller.reads)
        check_job(conf.get("job"), gate, str(settings.inputs_folder), caller.documents)
    except Refused as error:
        raise Problem(403, str(error)) from error
    except (OSError, ValueError):
        pass  # the first task says so, on a host that has the files


@contextmanager
def _all_or_nothing() -> Iterator[list[str | Path]]:
    """Remove what a request made if it is not answered as it was meant.

    What is made belongs into the list: paths of files and folders, and the ids of DAGs that Airflow knows.
    """
    made: list[str | Path] = []
    try:
        yield made
    except BaseException:
        for one in made:
            if isinstance(one, Path):
                shutil.rmtree(one) if one.is_dir() else one.unlink(missing_ok=True)
        for one in made:
            if isinstance(one, str):
                with suppress(AirflowException):  # Airflow did not know it yet
                    delete_dag(one)
        raise


def _folder() -> Path:
    return Path(conf.get("core", "dags_folder"))


def _file(dag_id: str) -> Path:
    return _folder() / f"{dag_id}.py"


def _check_dag(dag_id: str) -> None:
    try:
        check_dag_id(dag_id)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    if dag_id == CLEAN_DAG_RUN:
        raise Problem(400, f"dag_id: '{CLEAN_DAG_RUN}' stops a run and cannot be a DAG.")


def _check_run(run_id: str | None) -> None:
    try:
        check_run_id(run_id or "")
    except ValueError as error:
        raise Problem(400, str(error)) from error


def _settings(conf: Any) -> dict[str, Any]:
    """Return the configuration of a run, which may come as text."""
    try:
        settings = strict_json.loads(conf) if isinstance(conf, str) else conf
    except ValueError as error:
        raise Problem(400, f"conf cannot be read: {error}.") from error
    if settings is None:
        return {"job": {}}
    if not isinstance(settings, dict):
        raise Problem(400, 'conf must be an object like {"job": …}.')
    return settings


def _one(field: str) -> str:
    """Return the only value of a field of the form."""
    values = request.form.getlist(field)
    if len(values) != 1:
        raise Problem(400, f"The request must have one '{field}'.")
    return str(values[0])


def _document() -> bytes:
    """Return the document that the request adds."""
    files, texts = request.files.getlist("workflow"), request.form.getlist("workflow_content")
    if len(files) + len(texts) != 1:
        raise Problem(400, "The request must have either one 'workflow' or one 'workflow_content'.")
    if files:
        return bytes(files[0].read())
    try:
        text = embedded_text(str(texts[0]))
    except ValueError as error:
        raise Problem(400, str(error)) from error
    if text is None:
        raise Problem(400, "workflow_content must be base64 of a document that gzip or zlib compressed.")
    return text.encode()


def _time(text: str) -> Any:
    try:
        return timezone.parse(text)
    except (ValueError, OverflowError) as error:
        raise Problem(400, "execution_date must be a time like 2024-01-31T12:00:00+00:00.") from error


def _stop_run(dag_id: str, run_id: str) -> None:
    try:
        stop_run(dag_id, run_id)
    except NotStopped as error:
        raise Problem(409, str(error)) from error


def _wes_run(run_id: str) -> Any:
    for run in DagRun.find(dag_id=run_id, run_id=run_id):
        return run
    raise Problem(404, f"There is no run '{run_id}'.")


def _outputs(tasks: list[Any]) -> Any:
    """Return the outputs of a run, if it has some yet and they are still there."""
    for task in tasks:
        if task.task_id == "CWLJobGatherer":
            report = task.xcom_pull(task_ids=task.task_id)
            with suppress(OSError, ValueError):
                return json.loads(Path(report).read_text(encoding="utf-8")) if isinstance(report, str) else {}
    return {}


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
