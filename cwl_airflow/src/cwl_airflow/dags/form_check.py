"""Refuse a form in which something is missing, before there is a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..callers import KEY, Caller
from ..documents.types import form_value, is_empty_text
from ..runs.near_names import did_you_mean, nearest_name

#: Where a run's configuration has a job as it is, in place of the form's fields.
JOB = "job"
#: In the schema of a field: whether its input must be given.
REQUIRED = "cwl_required"
#: Likewise: whether texts in it may be the paths of files or folders.
FILES_IN = "cwl_files"
#: Likewise: the type of its input, in values of JSON.
TYPE = "cwl_type"


def check_form(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the job of a run that is made by a form, if it is, and refuse a form that lacks an input.

    Airflow's fields cannot say that: one that must be filled in would have to be where a job is given as it is, too.

    :param values: of the run's columns, by name.
    :returns: what was filled in; none if the run was not started by the form of a document.
    :raises ValueError: names the input; Airflow's API gives it as the answer.
    """
    conf = values.get("conf")
    if not isinstance(conf, Mapping) or not conf or JOB in conf:
        return None
    return check_fields(conf, field_schemas(str(values.get("dag_id"))))


def check_places(job: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuse a form with the path of a file that its run may not read.

    :param job: what was filled in.
    :param values: of the run's columns, with a note of who starts it.
    :raises ValueError: names the input, the path, and what would allow it.
    """
    if not job:
        return
    from ..gate import Refused
    from ..gate.job import check_job
    from .settings import CWLSettings

    settings = CWLSettings.read({})
    caller = Caller.of(values["conf"])
    try:
        gate = settings.places.gate(str(values["dag_id"]), reads=caller.reads)
        check_job(job, gate, str(settings.inputs_folder), caller.documents)
    except Refused as error:
        raise ValueError(str(error)) from error
    except OSError:
        pass  # the first task says so, on a host that has the files


def check_fields(conf: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Refuse a form in which a field is empty that must not be, and return what was filled in if there is a form.

    :param conf: the run's configuration.
    :param fields: the schemas of the DAG's fields, by input; a DAG file may have others of its own.
    :raises ValueError: names the input.
    """
    inputs = {name: schema for name, schema in fields.items() if REQUIRED in schema}
    if not inputs:
        return None
    check_known(conf, fields)
    for name, schema in inputs.items():
        if schema[REQUIRED] and conf.get(name) in (None, ""):
            raise ValueError(f"Input '{name}' is missing.")
    typed = [(name, schema[TYPE], conf.get(name)) for name, schema in inputs.items() if TYPE in schema]
    return {
        name: form_value(kind, value)
        for name, kind, value in typed
        if value is not None and not is_empty_text(kind, value)
    }


def check_known(conf: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse a form with a field of no input.

    :raises ValueError: it is probably meant as a job, and how that is given.
    """
    if unknown := [name for name in conf if name not in {KEY, *names}]:
        raise ValueError(no_job_text(unknown, names))


def no_job_text(unknown: Iterable[str], names: Iterable[str]) -> str:
    """Return how a job is given.

    :param unknown: what the run's configuration has instead.
    :param names: of the document's inputs.
    """
    meant = next((JOB if nearest_name(JOB, [name]) else nearest_name(name, names) for name in unknown), None)
    return (
        f"The run's configuration has no 'job'.{did_you_mean(meant)} It must be "
        f'{{"job": {{…}}}} with the inputs: {", ".join(sorted(names)) or "none"}.'
    )


def field_schemas(dag_id: str) -> dict[str, Mapping[str, Any]]:
    """Return the schemas of the fields of a DAG, as the database has it; none if it is not there."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.settings import engine
    from sqlalchemy.orm import Session

    # In a session of its own: the caller's has not ended.
    with Session(bind=engine) as session:
        dag = SerializedDagModel.get_dag(dag_id, session=session)
        return {name: dag.params.get_param(name).schema for name in dag.params} if dag else {}
