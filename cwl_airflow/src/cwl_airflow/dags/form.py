"""The form that starts a run: a field for each input of the document, and the job out of what was filled in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import Param

from ..callers import KEY
from ..documents.plan import AboutDocument, AboutParameter
from ..documents.types import form_schema, form_value, is_empty_text, may_be_left_out, type_text, types_in
from ..gate.objects import FILES
from .form_check import FILES_IN, JOB, REQUIRED, TYPE, check_known, no_job_text
from .page import LONGEST_LINE, facts, shorten

#: Characters of a text at a field, and of a default in it: Airflow keeps them with each version of the DAG.
LONGEST_HELP, LONGEST_DEFAULT = 2000, 10_000


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
            FILES_IN: bool(types_in(parameter.type) & {*FILES}),
            TYPE: parameter.type,
        },
    )


def field_default(parameter: AboutParameter, schema: Mapping[str, Any]) -> Any:
    """Return what a field has at first; nothing where the document's own default does not fit in, which holds then."""
    # Files are called by their names there, which are no places, and any value may have some in it.
    if types_in(parameter.type) & {*FILES, "Any"} or len(json.dumps(parameter.default)) > LONGEST_DEFAULT:
        return None
    return Param(None, schema=dict(schema)).resolve(parameter.default, suppress_exception=True)


def is_required(parameter: AboutParameter) -> bool:
    """Tell whether an input must be given."""
    return parameter.default is None and not may_be_left_out(parameter.type)


def field_help(parameter: AboutParameter) -> str:
    """Return what stands at a field, in Markdown."""
    path = ", by its path on the host" if types_in(parameter.type) & {*FILES} else ""
    about = [f"`{shorten(type_text(parameter.type), LONGEST_LINE)}`{path}", parameter.label]
    about += [shorten(parameter.doc, LONGEST_HELP), *facts(parameter)]
    return "\n\n".join(part for part in about if part)


def job_of_configuration(
    conf: Mapping[str, Any] | None, inputs: Iterable[AboutParameter], others: Iterable[str] = ()
) -> Any:
    """Return the job of a run: as it is given, or out of the fields of the form.

    :param conf: the run's configuration.
    :param inputs: of the document.
    :param others: names of fields that are no inputs: those of a DAG file's own.
    :raises ValueError: there is neither, both, or a field of no input.
    """
    given = {name: value for name, value in (conf or {}).items() if name != KEY}
    kinds = {each.name: each for each in inputs}
    # A field that has the document's default was not filled in: that holds, as the document has it.
    filled = {
        name: value
        for name, value in given.items()
        if name != JOB and name in kinds and not _is_empty(kinds[name], value)
    }
    if JOB in given:
        if mixed := [name for name, value in filled.items() if value != ""]:
            raise ValueError(f"The run's configuration has a 'job', and beside it '{mixed[0]}': put it into the job.")
        return given[JOB]
    check_known(given, {*kinds, *others})
    if not given and any(is_required(each) for each in kinds.values()):
        raise ValueError(no_job_text((), kinds))
    return {name: form_value(kinds[name].type, value) for name, value in filled.items()}


def _is_empty(parameter: AboutParameter, value: Any) -> bool:
    """Tell whether a field was left as it was."""
    return value is None or value == parameter.default or is_empty_text(parameter.type, value)
