"""Whatever the CWL API is sent: what is malformed is refused, and leaves nothing behind."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any
from urllib.parse import quote, quote_from_bytes

import pytest
import rows
from api import DOCUMENT, PACKED, Api, left
from home import HOME, Site

DEEP = b"[" * 5_000
JSON = {"Content-Type": "application/json"}
#: Values of parameters, percent-encoded: none of them names anything.
VALUES = {
    "empty": "",
    "NUL": "a%00b",
    "newline": "a%0A",
    "not UTF-8": "%FF",
    "surrogate": quote_from_bytes(b"\xed\xa0\x80"),
    "beyond U+FFFF": quote("😀"),
    "with a dot": "no.such.dag",
    "dots and slashes": quote("../../etc/passwd", safe=""),
    "option": "--help",
    "quotes": quote("';--\"`$(id)", safe=""),
    "long": "a" * 5000,
}
#: Requests in which `{}` is such a value.
REQUESTS = [
    ("GET", "/dags?dag_ids={}"),
    ("GET", "/dag_runs?dag_id={}"),
    ("GET", "/dag_runs?run_id={}"),
    ("GET", "/dag_runs?execution_date={}"),
    ("GET", "/dag_runs?state={}"),
    ("GET", "/dag_runs?{}=1&dag_id=no"),
    ("POST", "/dags?dag_id={}"),
    ("POST", "/dag_runs?dag_id={}"),
    ("POST", "/dag_runs?dag_id=no.dag&run_id={}"),
    ("POST", "/dag_runs?dag_id=mine&conf=x{}"),
    ("POST", "/dags/{}/dag_runs"),
    ("POST", "/dags/dag_runs?run_id=run&dag_id={}"),
    ("POST", "/dags/dag_runs?dag_id=no.dag&run_id={}"),
    ("GET", "/wes/runs?page_size={}"),
    ("GET", "/wes/runs/{}"),
    ("GET", "/wes/runs/{}/status"),
    ("POST", "/wes/runs/{}/cancel"),
    ("GET", "/{}"),
    ("GET", "/ui/{}"),
]


@pytest.fixture(autouse=True)
def unchanged(request: pytest.FixtureRequest, api: Api, site: Site) -> Any:
    """Check that a test leaves nothing, unless it says that it does."""
    before = left(HOME)
    yield
    if "leaves_something" not in request.fixturenames:
        assert left(HOME) == before


@pytest.fixture
def leaves_something() -> None:
    """Say that a test leaves something."""


leaves = pytest.mark.usefixtures("leaves_something")


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_what_names_nothing_is_refused(api: Api, method: str, path: str) -> None:
    for what, value in VALUES.items():
        more = {"json": {}} if path == "/dags/{}/dag_runs" else {}
        more = {"files": {"workflow": ("a.cwl", b"none")}} if "/dags?" in path and method == "POST" else more
        status = api.ask(method, path.format(value), "admin", **more).status_code
        assert status < 500, what
        assert method == "GET" or status >= 400, what


@pytest.mark.parametrize("path", ["/dag_runs?dag_id=mine&dag_id=other", "/dags?a=1&a=1", "/nothing?a=1&a=2"])
def test_a_parameter_is_given_once(api: Api, path: str) -> None:
    assert api.ask("GET", path, "admin").json()["detail"] == "A parameter is given twice."


BODIES = {
    "empty": b"",
    "not UTF-8": b'{"run_id": "\xff"}',
    "not JSON": b"{",
    "deep": DEEP,
    "deep conf": json.dumps({"run_id": "r", "conf": DEEP.decode()}).encode(),
    "deeper than others take": json.dumps({"run_id": "r", "conf": json.loads("[" * 150 + "]" * 150)}).encode(),
    "list": b"[]",
    "text": b'"text"',
    "null": b"null",
    "NaN": b'{"conf": {"job": NaN}}',
    "too large a number": b'{"conf": {"job": 1e999}}',
    "half a character": b'{"conf": {"job": {"a": "\\ud800"}}}',
    "run is a number": b'{"run_id": 1}',
    "run is null": b'{"run_id": null}',
    "run beyond U+FFFF": '{"run_id": "😀"}'.encode(),
    "run with NUL": b'{"run_id": "a\\u0000"}',
    "run is long": json.dumps({"run_id": "r" * 251}).encode(),
    "run with a slash": b'{"run_id": "a/b"}',
    "conf is a number": b'{"conf": 1}',
    "conf is no JSON": b'{"conf": "{"}',
    "token is a number": b'{"run_id": "r", "conf": "{}", "token": 1}',
}


@pytest.mark.parametrize("body", BODIES)
def test_a_job_that_cannot_be_read_is_refused(api: Api, body: str) -> None:
    for user in ("admin", None):
        answer = api.ask("POST", "/dags/mine/dag_runs", user, content=BODIES[body], headers=JSON)
        assert 400 <= answer.status_code < 500
        assert "input" not in answer.json()


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "x", "", "text/json", "application/jsonx"])
def test_a_job_of_another_media_type_is_refused(api: Api, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = api.ask("POST", "/dags/mine/dag_runs", "admin", content=b'{"run_id": "run"}', headers=headers)
    assert answer.status_code == 415


@leaves
@pytest.mark.parametrize("content_type", ["APPLICATION/JSON", "application/json; charset=utf-8", "application/x+json"])
def test_a_job_of_the_media_type_is_taken(api: Api, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = api.ask("POST", "/dags/mine/dag_runs", "admin", content=b'{"run_id": "run"}', headers=headers)
    assert answer.status_code == 200
    assert answer.json()["run_id"] == "run"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("dag_id=", 404),
        ("dag_id=none", 404),
        ("dag_id=mine&conf=[]", 400),
        ("dag_id=mine&conf=1", 400),
        ("dag_id=mine&conf=", 400),
        ("dag_id=mine&run_id=a/b", 400),
        ("dag_id=mine&run_id=" + "r" * 251, 400),
        ("dag_id=clean_dag_run", 400),
        ("dag_id=clean_dag_run&conf={}", 400),
        ('dag_id=clean_dag_run&conf={"remove_dag_id": "a\\u0000", "remove_run_id": "b"}', 400),
        ('dag_id=mine&conf={"job": {"cwl:requirements": []}}', 403),
    ],
)
def test_a_run_that_cannot_be_is_refused(api: Api, query: str, status: int) -> None:
    assert api.ask("POST", f"/dag_runs?{quote(query, safe='=&')}", "user").status_code == status


@leaves
def test_a_run_is_there_once(api: Api) -> None:
    answers = [api.ask("POST", "/dag_runs?dag_id=mine&run_id=run", "admin") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 409]
    assert answers[1].json()["detail"] == "DAG 'mine' has a run 'run' already."
    assert api.ask("POST", "/dag_runs?dag_id=mine", "admin").json()["run_id"].startswith("manual__")


@leaves
def test_runs_are_found_by_what_they_are(api: Api) -> None:
    began = api.ask("POST", "/dag_runs?dag_id=mine&run_id=run", "admin").json()
    assert (began["state"], began["start_date"]) == ("queued", None)
    queries = ["run_id=run", "state=queued", "dag_id=mine", f"execution_date={quote(began['execution_date'])}"]
    for query in queries:
        (found,) = api.ask("GET", f"/dag_runs?{query}", "viewer").json()["dag_runs"]
        assert found["run_id"] == "run"
        assert (found["progress"], found["error"]) == (0, "")
        assert {"id": "CWLJobDispatcher", "state": None} in found["tasks"]
    for query in ("run_id=no", "state=failed", "dag_id=other", "execution_date=2024-01-31T12:00:00Z"):
        assert api.ask("GET", f"/dag_runs?{query}", "viewer").json() == {"dag_runs": []}
    assert api.ask("GET", "/dag_runs?execution_date=", "viewer").status_code == 400


@leaves
def test_a_run_that_failed_says_why(api: Api) -> None:
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    assert api.ask("POST", "/dag_runs?dag_id=mine&run_id=mine", "admin").status_code == 200
    with create_session() as session:
        (run,) = DagRun.find(dag_id="mine", run_id="mine", session=session)
        run.state = "failed"
        for number, task in enumerate(("CWLJobDispatcher", "CWLJobGatherer")):
            found = run.get_task_instance(task, session=session)
            found.state, found.end_date = "failed", rows.at(number)
    for task in ("CWLJobDispatcher", "CWLJobGatherer"):
        rows.push(task, "error", f"{task}: größe", run_id="mine", dag_id="mine")
    lines = ["CWLJobDispatcher: größe", "CWLJobGatherer: größe"]
    (found,) = api.ask("GET", "/dag_runs?dag_id=mine", "viewer").json()["dag_runs"]
    assert found["error"] == "; ".join(lines)
    log = api.ask("GET", "/wes/runs/mine", "viewer").json()
    assert (log["state"], log["run_log"]["system_logs"]) == ("EXECUTOR_ERROR", lines)


def test_dags_are_named_with_commas(api: Api) -> None:
    def found(query: str) -> Any:
        return [dag["dag_id"] for dag in api.ask("GET", f"/dags{query}", "viewer").json()["dags"]]

    assert found("") == ["mine", "other"]
    assert found("?dag_ids=other,mine") == ["other", "mine"]
    assert api.ask("GET", "/dags?dag_ids=mine,none", "viewer").json()["detail"] == "There is no DAG 'none'."


def form(*parts: tuple[str, str | None, bytes]) -> dict[str, Any]:
    """Return a request with a body of `multipart/form-data`.

    :param parts: name, file name (none for a field) and content.
    """
    body = b""
    for name, filename, content in parts:
        more = b"" if filename is None else b'; filename="' + filename.encode("utf-8", "surrogateescape") + b'"'
        body += b"--b\r\nContent-Disposition: form-data; name=" + name.encode() + more + b"\r\n\r\n" + content + b"\r\n"
    return {"content": body + b"--b--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}


def packed(text: bytes) -> bytes:
    return base64.b64encode(zlib.compress(text))


GOOD = form(("workflow", "a.cwl", DOCUMENT))
UPLOADS = {
    "nothing": form(),
    "no form": {},
    "JSON": {"json": {}},
    "no boundary": GOOD | {"headers": {"Content-Type": "multipart/form-data"}},
    "another boundary": GOOD | {"headers": {"Content-Type": "multipart/form-data; boundary=c"}},
    "cut off": GOOD | {"content": GOOD["content"][:-60]},
    "cut off behind the document": GOOD | {"content": GOOD["content"][:-4]},
    "malformed": GOOD | {"content": b"x" + GOOD["content"]},
    "part without a name": GOOD | {"content": GOOD["content"].replace(b"; name=workflow", b"")},
    "no document": form(("workflow", "a.cwl", b"no: document")),
    "empty document": form(("workflow", "a.cwl", b"")),
    "document that is not UTF-8": form(("workflow", "a.cwl", b"\xff\xfe\x00")),
    "document twice": form(("workflow", "a.cwl", DOCUMENT), ("workflow", "b.cwl", DOCUMENT)),
    "both kinds": form(("workflow", "a.cwl", DOCUMENT), ("workflow_content", None, packed(DOCUMENT))),
    "document as a field": form(("workflow", None, DOCUMENT)),
    "content as a file": form(("workflow_content", "a", packed(DOCUMENT))),
    "content that is a path": form(("workflow_content", None, b"/etc/passwd")),
    "content that is no document": form(("workflow_content", None, packed(b"no: document"))),
    "content that is not UTF-8": form(("workflow_content", None, packed(b"\xff"))),
    "content twice": form(*[("workflow_content", None, packed(DOCUMENT))] * 2),
    "name that is not UTF-8": form(("workflow", "\udcff", DOCUMENT)),
}
TOO_LARGE = {
    "many parts": form(*[("x", None, b"")] * 1001),
    "large field": form(("workflow_content", None, b"x" * 600_000)),
    "large form of the other kind": {"data": {"workflow_content": "x" * 600_000}},
}


@pytest.mark.parametrize("path", ["/dags?dag_id=refused", "/dags/dag_runs?dag_id=refused&run_id=run"])
@pytest.mark.parametrize("upload", [*UPLOADS, *TOO_LARGE])
def test_an_upload_that_is_refused_leaves_nothing(api: Api, upload: str, path: str) -> None:
    status = 413 if upload in TOO_LARGE else 400
    assert api.ask("POST", path, "admin", **{**UPLOADS, **TOO_LARGE}[upload]).status_code == status


@pytest.mark.parametrize("name", ["..", ".", "-rf", ".hidden", "a\n", "a/b", "ä", "a b", "clean_dag_run"])
def test_a_dag_has_a_name_that_can_be_a_file_and_an_argument(api: Api, name: str) -> None:
    for path in ("/dags?", "/dags/dag_runs?run_id=run&"):
        assert api.ask("POST", f"{path}dag_id={quote(name, safe='')}", "admin", **GOOD).status_code == 400


@pytest.mark.parametrize("query", ["run_id=run&conf={", "run_id=no/run", "run_id=a%0A", "run_id=run&conf=[]", ""])
def test_an_upload_whose_run_is_refused_leaves_no_dag(api: Api, query: str) -> None:
    assert api.ask("POST", f"/dags/dag_runs?dag_id=refused&{query}", "admin", **GOOD).status_code == 400


@leaves
def test_an_upload_takes_no_name_that_is_taken(api: Api, site: Site) -> None:
    assert api.ask("POST", "/dags?dag_id=new", "admin", **GOOD).status_code == 200
    before = left(HOME)
    for dag_id in ("new", "mine"):
        answer = api.ask("POST", f"/dags?dag_id={dag_id}", "admin", **GOOD)
        assert (answer.status_code, answer.json()["detail"]) == (409, f"There is a DAG '{dag_id}' already.")
    assert left(HOME) == before
    random = api.ask("POST", "/dags", "admin", **GOOD).json()["dag_id"]
    assert (site.dags / f"{random}.py").exists()


@leaves
def test_an_upload_stays_the_same_when_airflow_reads_its_file(api: Api, site: Site) -> None:
    import rows
    from airflow.models.dag_version import DagVersion
    from airflow.utils.session import create_session

    assert api.ask("POST", "/dags?dag_id=new", "admin", **GOOD).status_code == 200
    rows.read_dag_files(site.dags)
    with create_session() as session:
        assert session.query(DagVersion).filter_by(dag_id="new").count() == 1


@pytest.mark.full
@leaves
def test_an_upload_runs_in_place_of_a_run_of_its_name(api: Api, site: Site) -> None:
    path = "/dags/dag_runs?dag_id=new&run_id=run"
    began = [api.ask("POST", path, "admin", data={"workflow_content": PACKED}).json() for _ in range(2)]
    assert {run["state"] for run in began} == {"queued"}
    (found,) = api.ask("GET", "/dag_runs?dag_id=new", "viewer").json()["dag_runs"]
    assert found["execution_date"] == began[1]["execution_date"]


def test_what_cannot_be_stopped_is_said(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_airflow.api import runs
    from cwl_airflow.stopping.model import NotStopped

    def fail(*_: Any) -> None:
        raise NotStopped("worker-1 does not answer")

    monkeypatch.setattr(runs, "end_run", fail)
    conf = {"remove_dag_id": "mine", "remove_run_id": "run"}
    answer = api.ask("POST", "/dags/clean_dag_run/dag_runs", "user", json={"conf": conf})
    assert (answer.status_code, answer.json()["detail"]) == (409, "worker-1 does not answer.")


@pytest.mark.parametrize(
    ("error", "status"), [("DataError", 413), ("IntegrityError", 409), ("ParamValidationError", 400)]
)
def test_what_the_database_refuses_is_said(api: Api, monkeypatch: pytest.MonkeyPatch, error: str, status: int) -> None:
    from airflow.exceptions import ParamValidationError
    from cwl_airflow.api import runs
    from sqlalchemy.exc import DataError, IntegrityError

    def fail(**_: Any) -> None:
        if error == "ParamValidationError":
            raise ParamValidationError("no")
        raise {"DataError": DataError, "IntegrityError": IntegrityError}[error]("INSERT", {}, Exception())

    monkeypatch.setattr(runs, "trigger_dag", fail)
    assert api.ask("POST", "/dag_runs?dag_id=mine&run_id=run", "user").status_code == status


def test_a_dag_that_cannot_be_stored_leaves_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.models.serialized_dag import SerializedDagModel

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError

    monkeypatch.setattr(SerializedDagModel, "write_dag", fail)
    answer = api.ask("POST", "/dags?dag_id=new", "admin", **GOOD)
    assert (answer.status_code, "cannot be stored" in answer.json()["detail"]) == (500, True)


def test_a_job_that_is_too_large_is_refused(api: Api, site: Site) -> None:
    conf = {"job": {"text": "x" * 2**20}}
    assert api.ask("POST", "/dags/mine/dag_runs", "admin", json={"conf": conf}).status_code == 413


@leaves
def test_a_job_may_be_large(api: Api, site: Site) -> None:
    conf = {"job": {"text": "x" * (2**20 - 100)}}
    assert api.ask("POST", "/dags/mine/dag_runs", "admin", json={"conf": conf}).status_code == 200


def test_a_body_that_is_too_large_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_airflow.api.limits import LARGEST_UPLOAD

    headers = {"Content-Length": str(LARGEST_UPLOAD + 1)}
    assert api.ask("POST", "/wes/runs", "admin", content=b"", headers=headers).status_code == 413


def test_hosts_that_do_not_share_dag_files_get_none(api: Api, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__SHARES_DAGS", "False")
    before = left(site.dags)
    for path in ("/dags?dag_id=new", "/dags/dag_runs?dag_id=new&run_id=run"):
        answer = api.ask("POST", path, "admin", files={"workflow": ("a.cwl", DOCUMENT)})
        assert (answer.status_code, "do not share their DAG files" in answer.json()["detail"]) == (409, True)
    assert left(site.dags) == before
