"""What the CWL API says of itself: its specification, with what the answers of all operations share.

Source: https://spec.openapis.org/oas/v2.0
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from airflow.utils.state import DagRunState, State

from .names import LONGEST

SPECIFICATION = Path(__file__).with_name("swagger.yaml")

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


def specification() -> dict[str, Any]:
    """Return the specification of the CWL API."""
    found: dict[str, Any] = yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))
    for path in found["paths"].values():
        for operation in path.values():
            _describe(operation)
    states = [state.value for state in DagRunState]
    found["definitions"]["DagRunState"]["enum"] = states
    found["definitions"]["TaskState"]["enum"] = [state.value if state else None for state in State.task_states]
    return found


def _describe(operation: dict[str, Any]) -> None:
    name = operation["operationId"]
    some = {status: text for status, (text, names) in SOME.items() if name in names}
    for status, text in (REFUSALS | some).items():
        operation["responses"][status] = {"description": text, "schema": {"$ref": "#/definitions/Problem"}}
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "run_id" and name.startswith("post_"):
            parameter["maxLength"] = LONGEST
        if parameter["name"] == "page_size":
            parameter |= {"minimum": 1, "maximum": 2**63 - 1}  # int64, which nobody would check
        if parameter["name"] == "state":
            parameter["enum"] = [state.value for state in DagRunState]
        if parameter["name"] == "data":
            parameter["schema"]["properties"]["run_id"]["maxLength"] = LONGEST
