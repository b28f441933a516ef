"""The Workflow Execution Service: a document that runs with its attachments, and what there is to see of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from api import DOCUMENT, Api, left
from cwl_airflow.documents.plan import OUTPUTS_REPORT, STATISTICS
from home import HOME, Site
from test_api_requests import form

GOOD = ("workflow_attachment", "a.cwl", DOCUMENT)


def attached(*more: Any, url: bytes = b"a.cwl", params: bytes = b"{}") -> dict[str, Any]:
    """Return a request."""
    return form(("workflow_params", None, params), ("workflow_url", None, url), *more)


REFUSED = {
    "no parameters": form(("workflow_url", None, b"a.cwl"), GOOD),
    "no workflow": form(("workflow_params", None, b"{}"), GOOD),
    "nothing attached": attached(),
    "parameters twice": attached(GOOD, ("workflow_params", None, b"{}")),
    "parameters are no JSON": attached(GOOD, params=b"{"),
    "parameters are a list": attached(GOOD, params=b"[]"),
    "parameters are deep": attached(GOOD, params=b"[" * 5000),
    "workflow is not attached": attached(GOOD, url=b"b.cwl"),
    "workflow is a path": attached(GOOD, url=b"/etc/passwd"),
    "workflow is a URL": attached(GOOD, url=b"http://127.0.0.1:8080/a.cwl"),
    "workflow is no document": attached(("workflow_attachment", "a.cwl", b"no: document")),
    "process is not there": attached(GOOD, url=b"a.cwl#nothing"),
    "attachment is a folder of another": attached(
        GOOD, ("workflow_attachment", "x", b""), ("workflow_attachment", "x/y", b"")
    ),
    "cut off": attached(GOOD) | {"content": attached(GOOD, ("workflow_attachment", "x", b"x"))["content"][:-20]},
    **{
        f"attachment named {name!r}": attached(GOOD, ("workflow_attachment", name, b"x"))
        for name in ("", "/etc/x", "../x", "a/../../x", "..", "a//b", "a/", "x\0", "x\udcff", "x" * 300, "a.cwl")
    },
}


@pytest.mark.parametrize("request_", REFUSED)
def test_attachments_that_are_refused_leave_nothing(api: Api, site: Site, request_: str) -> None:
    before = left(HOME)
    assert api.ask("POST", "/wes/runs", "admin", **REFUSED[request_]).status_code == 400
    after = left(HOME)
    # The folder of all attachments may be new.
    assert [path for path in after[0] if path.name != "@wes"] == before[0]
    assert after[1:] == before[1:]


def test_a_job_that_is_refused_leaves_nothing(api: Api, site: Site) -> None:
    params = json.dumps({"a": {"class": "File", "path": "/etc/passwd"}}).encode()
    assert api.ask("POST", "/wes/runs", "admin", **attached(GOOD, params=params)).status_code == 403
    assert [path for path in left(HOME)[0] if "@wes/" in str(path)] == []


def test_a_dag_that_the_database_holds_is_removed_all_the_same(
    api: Api, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dag import DagModel
    from cwl_airflow.api import dag_files
    from sqlalchemy.exc import OperationalError

    asked: list[str] = []
    delete_dag = dag_files.delete_dag

    def lose_once(dag_id: str) -> None:
        asked.append(dag_id)
        if len(asked) == 1:
            raise OperationalError("DELETE", {}, Exception(1213, "Deadlock found when trying to get lock"))
        delete_dag(dag_id)

    monkeypatch.setattr(dag_files, "delete_dag", lose_once)
    params = json.dumps({"a": {"class": "File", "path": "/etc/passwd"}}).encode()
    assert api.ask("POST", "/wes/runs", "admin", **attached(GOOD, params=params)).status_code == 403
    assert len(asked) == 2
    assert DagModel.get_current(asked[0]) is None


@pytest.fixture
def run_id(api: Api, site: Site) -> str:
    """Return a run with an attachment."""
    params = json.dumps({"text": {"class": "File", "path": "data/größe.txt"}}).encode()
    more = [("workflow_attachment", "data/größe.txt", b"text"), ("workflow_type", None, b"CWL")]
    answer = api.ask("POST", "/wes/runs", "admin", **attached(GOOD, *more, params=params))
    assert answer.status_code == 200, answer.text
    run_id: str = answer.json()["run_id"]
    return run_id


def test_attachments_are_where_the_job_looks_for_them(api: Api, site: Site, run_id: str) -> None:
    log = api.ask("GET", f"/wes/runs/{run_id}", "viewer").json()
    file = log["request"]["workflow_params"]["text"]["path"]
    assert Path(file).read_text(encoding="utf-8") == "text"
    assert Path(file).is_relative_to(site.tmp)
    assert log == {
        "run_id": run_id,
        "request": {"workflow_params": {"text": {"class": "File", "path": file}}},
        "state": "QUEUED",
        "run_log": {"name": run_id},
        "task_logs": log["task_logs"],
        "outputs": {},
    }
    assert {"name": "CWLJobGatherer"} in log["task_logs"]
    assert api.ask("GET", "/wes/runs", "viewer").json() == {"runs": [{"run_id": run_id, "state": "QUEUED"}]}


@pytest.mark.parametrize(
    ("place", "report", "outputs"),
    [("outputs", '{"out": 1}', {"out": 1}), ("outputs", "[", {}), ("outputs", None, {}), ("inputs", '{"out": 1}', {}),
     ("outputs", json.dumps({STATISTICS: {"steps": {}, "document": {}, "job": {}}}), {STATISTICS: {"steps": {}}})],
)  # fmt: skip
def test_a_run_that_has_ended_shows_its_outputs(
    api: Api, site: Site, run_id: str, place: str, report: str | None, outputs: Any
) -> None:
    from airflow.models import DagRun
    from airflow.models.xcom import XComModel
    from airflow.sdk import timezone
    from airflow.utils.session import create_session

    file: Path = getattr(site, place) / run_id / OUTPUTS_REPORT
    if report:
        file.parent.mkdir()
        file.write_text(report, encoding="utf-8")
    with create_session() as session:
        (run,) = DagRun.find(dag_id=run_id, session=session)
        run.state, run.start_date, run.end_date = "success", timezone.utcnow(), timezone.utcnow()
        run.conf = {"job": "/a/path"}
        row = {"dag_run_id": run.id, "dag_id": run_id, "run_id": run_id, "task_id": "CWLJobGatherer"}
        session.add(XComModel(**row, map_index=-1, key="return_value", value=str(file) if report else None))
    log = api.ask("GET", f"/wes/runs/{run_id}", "viewer").json()
    assert (log["state"], log["outputs"], log["request"]) == ("COMPLETE", outputs, {"workflow_params": {}})
    assert set(log["run_log"]) == {"name", "start_time", "end_time"}


def test_a_run_whose_dag_is_gone_cannot_be_cancelled(api: Api, run_id: str) -> None:
    from airflow import settings

    with settings.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM serialized_dag WHERE dag_id = ?", (run_id,))
    answer = api.ask("POST", f"/wes/runs/{run_id}/cancel", "user")
    assert (answer.status_code, "is gone" in answer.json()["detail"]) == (409, True)


def test_what_runs_here(api: Api) -> None:
    answer = api.ask("GET", "/wes/service-info", "viewer").json()
    assert answer["workflow_type_versions"] == {"CWL": {"workflow_type_version": ["v1.0", "v1.1", "v1.2"]}}
    assert set(answer["workflow_engine_versions"]) == {"cwl-airflow", "cwltool"}


@pytest.mark.parametrize(("query", "status"), [("page_size=1", 200), ("page_size=0", 400), ("page_size=x", 400)])
def test_all_runs_are_on_one_page(api: Api, query: str, status: int) -> None:
    assert api.ask("GET", f"/wes/runs?{query}&page_token=x", "viewer").status_code == status
