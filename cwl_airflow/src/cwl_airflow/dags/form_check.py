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


def refuse_incomplete_form(_run: Any, _arguments: Any, values: dict[str, Any]) -> None:
    """Refuse a run whose form lacks an input (SQLAlchemy's event ``init``): Airflow's fields cannot say that.

    A field that must be filled in would have to be where a job is given as it is, too.

    :param values: of its columns, by name.
    :raises ValueError: names the input; Airflow's API gives it as the answer.
    """
    conf = values.get("conf")
    if isinstance(conf, Mapping) and conf and JOB not in conf:
        check_required(conf, field_schemas(str(values.get("dag_id"))))


def check_required(conf: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a form in which a field is empty that must not be.

    :param conf: the run's configuration.
    :param fields: the schemas of the DAG's fields, by input.
    :raises ValueError: names the input.
    """
    inputs = {name: schema for name, schema in fields.items() if REQUIRED in schema}
    if JOB in conf or not inputs:
        return
    check_known(conf, fields)
    for name, schema in inputs.items():
        if schema[REQUIRED] and conf.get(name) in (None, ""):
            raise ValueError(f"Input '{name}' is missing.")


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
