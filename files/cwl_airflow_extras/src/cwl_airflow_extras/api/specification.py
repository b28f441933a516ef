"""What the CWL API says of itself: upstream's specification, and what is otherwise here.

Source: https://spec.openapis.org/oas/v2.0
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cwl_airflow
import yaml
from airflow.utils.state import DagRunState, State

from .names import LONGEST

SPECIFICATION = Path(cwl_airflow.__file__).parent / "components/api/openapi/swagger_configuration.yaml"

#: What may be answered in place of a result, beside what an operation says itself.
REFUSALS = {
    "400": "The request is malformed; what is wrong is said.",
    "401": "Nobody is known to ask.",
    "403": "Who asks may not do this.",
    "413": "The request is too large.",
    "415": "The body is of another media type.",
    "500": "An unexpected error occurred.",
    "503": "The server has too much to do: ask again later.",
}
#: What only some answer.
NOT_THERE, IN_THE_WAY = "There is no such DAG or run.", "A DAG or run of this name is there, or cannot be stopped."
SOME = {
    "404": (NOT_THERE, ("get_dags", "post_dag_runs", "post_dag_runs_legacy", "post_dags_dag_runs", "wes_get_run_log",
                        "wes_get_run_status", "wes_cancel_run")),
    "409": (IN_THE_WAY, ("post_dags", "post_dag_runs", "post_dag_runs_legacy", "post_dags_dag_runs", "wes_cancel_run")),
}  # fmt: skip
#: Fields that are not there yet while a run or a task waits.
UNKNOWN_YET = (("PostDagRunsResponse", "start_date"), ("DagRunInfo", "start_date"))


def specification() -> dict[str, Any]:
    """Return the specification of the CWL API."""
    found: dict[str, Any] = yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))
    for operation in _operations(found):
        _describe(operation)
    _describe_bodies(found["paths"])
    _describe_answers(found["definitions"])
    found["produces"] = ["application/json", "application/problem+json"]
    return found


def _operations(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in found["paths"].values():
        yield from path.values()


def _describe(operation: dict[str, Any]) -> None:
    name, answers = operation["operationId"], operation["responses"]
    some = {status: text for status, (text, names) in SOME.items() if name in names}
    for status, text in (REFUSALS | some).items():
        answers[status] = {"description": text, "schema": {"$ref": "#/definitions/ErrorResponse"}}
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "run_id" and operation["operationId"].startswith("post_"):
            parameter["maxLength"] = LONGEST
        if parameter["name"] == "page_size":
            parameter |= {"minimum": 1, "maximum": 2**63 - 1}  # int64, which nobody would check
        if parameter["name"] == "state":
            parameter["enum"] = [state.value for state in DagRunState]


def _describe_bodies(paths: dict[str, Any]) -> None:
    legacy = paths["/dags/{dag_id}/dag_runs"]["post"]["parameters"][1]["schema"]["properties"]
    legacy["conf"] = {"description": "Run configuration: an object, or its JSON as text"}
    legacy["run_id"]["maxLength"] = LONGEST
    legacy["token"] = {"type": "string", "description": "JSON Web Token of run_id and conf"}
    for parameter in paths["/wes/runs"]["post"]["parameters"]:
        parameter["required"] = parameter["name"] in ("workflow_params", "workflow_url", "workflow_attachment")
        if parameter["name"] == "workflow_attachment":  # one or more, which Swagger 2.0 cannot say
            del parameter["items"]
            parameter["type"] = "file"


def _describe_answers(definitions: dict[str, Any]) -> None:
    definitions["DagRunState"]["enum"] = [state.value for state in DagRunState]
    # One that nobody has looked at yet has none.
    definitions["TaskState"]["enum"] = [state.value if state else None for state in State.task_states]
    definitions["TaskState"]["x-nullable"] = True
    for definition, field in UNKNOWN_YET:
        definitions[definition]["properties"][field]["x-nullable"] = True
    definitions["ErrorResponse"] = {
        "description": "A problem (RFC 9457).",
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    }
