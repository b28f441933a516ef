"""What the page says of real runs that failed."""

from __future__ import annotations

from typing import Any

from cwl_airflow.pages.runs import describe_run
from home import Site
from test_dags import CHAIN, SCATTER, kept_environment, ran, written  # noqa: F401  # fixtures

FAILS_AT_D = {
    "class": "CommandLineTool",
    "arguments": ["sh", "-c", "echo at $(inputs.word); test $(inputs.word) != d"],
    "inputs": {"word": "string"},
    "outputs": {"said": {"type": "File?", "outputBinding": {"glob": "none"}}},
}


def described(run: Any) -> tuple[dict[str, Any], dict[Any, Any]]:
    """Return what the page of a run says, and of its tasks by their names and numbers."""
    found = describe_run(run.dag_id, run.run_id)
    return found, {(task["task"], task["part"]): task for task in found["tasks"]}


def test_a_step_that_failed_after_another(ran: Any, site: Site) -> None:  # noqa: F811
    steps: Any = CHAIN["steps"]
    number = {**steps["number"], "run": {**steps["number"]["run"], "baseCommand": ["ls", "--no-such"]}}
    found, tasks = described(ran({**CHAIN, "steps": {**steps, "number": number}}, {"word": "a"}))
    (failed,) = found["failed"]
    assert (failed["task"], failed["exit_code"], failed["reason"]) == ("number", 2, "exit status 2")
    assert failed["command"].startswith("ls --no-such ")
    assert failed["why"].startswith("number: 'ls --no-such ")
    assert any("unrecognized option" in line for line in failed["lines"])
    assert (tasks["say", None]["command"], tasks["say", None]["exit_codes"]) == ("echo a", [0])
    assert tasks["say", None]["disk"] > 0
    assert tasks["number", None]["exit_codes"] == [2]


def test_one_of_many_jobs_that_failed(ran: Any) -> None:  # noqa: F811
    step = {**SCATTER["steps"]["say"], "run": FAILS_AT_D}
    document = {**SCATTER, "outputs": {}, "steps": {"say": step}}
    found, tasks = described(ran(document, {"words": list("abcdef")}, scatter_tasks=3))
    (failed,) = found["failed"]
    assert (failed["task"], failed["part"], failed["lines"]) == ("say.jobs", 1, ["at d"])
    assert failed["command"] == "sh -c 'echo at d; test d != d'"
    assert tasks["say.jobs", 0]["exit_codes"] == [0]
    assert tasks["say", None]["exit_codes"] == [0, 1]
