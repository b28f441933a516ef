"""Refuse a form in which something is missing, before there is a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..callers import KEY
from ..runs.near_names import did_you_mean, nearest_name

#: Where a run's configuration has a job as it is, in place of the form's fields.
JOB = "job"
#: In the schema of a field: whether its input must be given.
REQUIRED = "cwl_required"
#: Likewise: whether texts in it may be the paths of files or folders.
FILES_IN = "cwl_files"


def check_form(values: Mapping[str, Any]) -> bool:
    """Tell whether a run that is made was started by a form, and refuse a form that lacks an input.

    Airflow's fields cannot say that: one that must be filled in would have to be where a job is given as it is, too.

    :param values: of the run's columns, by name.
    :raises ValueError: names the input; Airflow's API gives it as the answer.
    """
    conf = values.get("conf")
    if not isinstance(conf, Mapping) or not conf or JOB in conf:
        return False
    return check_fields(conf, field_schemas(str(values.get("dag_id"))))


def check_fields(conf: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]) -> bool:
    """Refuse a form in which a field is empty that must not be, and tell whether there is a form.

    :param conf: the run's configuration.
    :param fields: the schemas of the DAG's fields, by input; a DAG file may have others of its own.
    :raises ValueError: names the input.
    """
    inputs = {name: schema for name, schema in fields.items() if REQUIRED in schema}
    if not inputs:
        return False
    check_known(conf, fields)
    for name, schema in inputs.items():
        if schema[REQUIRED] and conf.get(name) in (None, ""):
            raise ValueError(f"Input '{name}' is missing.")
    return True


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
