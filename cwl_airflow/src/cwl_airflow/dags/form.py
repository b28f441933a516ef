"""The form that starts a run: a field for each input of the document, and the job out of what was filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import Param

from ..callers import KEY
from ..documents.plan import AboutDocument, AboutParameter
from ..documents.types import form_schema, form_value, may_be_left_out, type_text, types_in
from .form_check import JOB, REQUIRED, check_known, no_job_text


def form_fields(about: AboutDocument) -> dict[str, Param]:
    """Return the fields of a document's form, by input: first those that must be filled in.

    A run may also be given a job as it is, so that to Airflow none of them must be filled in.
    """
    inputs = sorted(about.inputs, key=is_required, reverse=True)
    return {each.name: _field(each) for each in inputs if each.name not in (JOB, KEY)}


def _field(parameter: AboutParameter) -> Param:
    schema = form_schema(parameter.type)
    required = is_required(parameter)
    return Param(
        field_default(parameter, schema),
        schema={
            **schema,
            "title": f"{parameter.name} (required)" if required else parameter.name,
            "description_md": field_help(parameter),
            REQUIRED: required,
        },
    )


def field_default(parameter: AboutParameter, schema: Mapping[str, Any]) -> Any:
    """Return what a field has at first; nothing where the document's own default does not fit in, which holds then."""
    if {"File", "Directory"} & types_in(parameter.type):  # they are called by their names, which are no places
        return None
    return Param(None, schema=dict(schema)).resolve(parameter.default, suppress_exception=True)


def is_required(parameter: AboutParameter) -> bool:
    """Tell whether an input must be given."""
    return parameter.default is None and not may_be_left_out(parameter.type)


def field_help(parameter: AboutParameter) -> str:
    """Return what stands at a field, in Markdown."""
    is_path = {"File", "Directory"} & types_in(parameter.type)
    parts = [
        f"`{type_text(parameter.type)}`{', by its path on the host' if is_path else ''}",
        parameter.label,
        parameter.doc,
        f"Format: {', '.join(parameter.formats)}" if parameter.formats else "",
        f"With {', '.join(parameter.secondary)} beside it" if parameter.secondary else "",
    ]
    return "\n\n".join(part for part in parts if part)


def job_of_configuration(conf: Mapping[str, Any] | None, inputs: Iterable[AboutParameter]) -> Any:
    """Return the job of a run: as it is given, or out of the fields of the form.

    :param conf: the run's configuration.
    :param inputs: of the document.
    :raises ValueError: there is neither, both, or a field of no input.
    """
    given = {name: value for name, value in (conf or {}).items() if name != KEY}
    kinds = {each.name: each for each in inputs}
    fields = {name: value for name, value in given.items() if name in kinds and name != JOB}
    if JOB in given:
        filled = [name for name, value in fields.items() if value not in (None, "") and value != kinds[name].default]
        if filled:
            raise ValueError(f"The run's configuration has a 'job', and beside it '{filled[0]}': put it into the job.")
        return given[JOB]
    check_known(given, kinds)
    if not given and any(is_required(each) for each in kinds.values()):
        raise ValueError(no_job_text((), kinds))
    return {
        name: form_value(kinds[name].type, value)
        for name, value in fields.items()
        if value is not None and (value != "" or not may_be_left_out(kinds[name].type))
    }
