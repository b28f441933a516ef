"""Who may do what at the CWL API: each route for each role."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.fab.auth_manager.security_manager import override
from api import BASE, DOCUMENT, HASH, PACKED, READERS, STARTERS, USERS, Api, left
from cwl_airflow.api import failed_logins
from home import HOME, Site
from limits import RateLimitItemPerMinute

EVERYBODY = set(USERS)
JOB = quote('{"job": {}}')
STOP = {dag_id: json.dumps({"remove_dag_id": dag_id, "remove_run_id": "nowhere"}) for dag_id in ("mine", "other")}
UPLOAD = {"files": {"workflow": ("a.cwl", DOCUMENT)}}
ATTACHED = {
    "data": {"workflow_params": "{}", "workflow_url": "a.cwl"},
    "files": {"workflow_attachment": ("a.cwl", DOCUMENT)},
}
#: Method, path, what goes with it, and who may.
REQUESTS = {
    "list DAGs": ("GET", "/dags", {}, READERS),
    "see one DAG": ("GET", "/dags?dag_ids=mine", {}, READERS),
    "name a DAG where nobody asks": ("GET", "/dags?dag_id=mine", {}, READERS),
    "list runs": ("GET", "/dag_runs", {}, READERS),
    "list runs of a DAG": ("GET", "/dag_runs?dag_id=mine", {}, READERS | {"narrow"}),
    "list runs of another DAG": ("GET", "/dag_runs?dag_id=other", {}, READERS),
    "list runs of a DAG without a name": ("GET", "/dag_runs?dag_id=", {}, READERS),
    "start": ("POST", f"/dag_runs?dag_id=mine&run_id=run&conf={JOB}", {}, STARTERS | {"narrow"}),
    "start another": ("POST", f"/dag_runs?dag_id=other&run_id=run&conf={JOB}", {}, STARTERS),
    "start with a body": ("POST", "/dags/mine/dag_runs", {"json": {"run_id": "run"}}, STARTERS | {"narrow"}),
    "start another with a body": ("POST", "/dags/other/dag_runs", {"json": {"run_id": "run"}}, STARTERS),
    "stop": (
        "POST",
        f"/dag_runs?dag_id=clean_dag_run&conf={quote(STOP['mine'])}",
        {"json": {"conf": STOP["other"]}},
        STARTERS | {"narrow"},
    ),
    "stop another": (
        "POST",
        f"/dag_runs?dag_id=clean_dag_run&conf={quote(STOP['other'])}",
        {"json": {"conf": STOP["mine"]}},
        STARTERS,
    ),
    "stop with a body": (
        "POST",
        f"/dags/clean_dag_run/dag_runs?conf={quote(STOP['other'])}",
        {"json": {"conf": STOP["mine"]}},
        STARTERS | {"narrow"},
    ),
    "stop another with a body": (
        "POST",
        f"/dags/clean_dag_run/dag_runs?conf={quote(STOP['mine'])}",
        {"json": {"conf": json.loads(STOP["other"])}},
        STARTERS,
    ),
    "add a DAG": ("POST", "/dags?dag_id=new", UPLOAD, {"admin"}),
    "add a DAG and start it": ("POST", f"/dags/dag_runs?dag_id=new&run_id=run&conf={JOB}", UPLOAD, {"admin"}),
    "start a DAG that is there with an upload": ("POST", "/dags/dag_runs?dag_id=mine&run_id=run", UPLOAD, {"admin"}),
    "say what runs here": ("GET", "/wes/service-info", {}, READERS),
    "list runs of WES": ("GET", "/wes/runs", {}, READERS),
    "name a run where nobody asks": ("GET", "/wes/runs?run_id=mine", {}, READERS),
    "run with attachments": ("POST", "/wes/runs", ATTACHED, {"admin"}),
    "see the specification": ("GET", "/openapi.json", {}, READERS),
    "see the specification under its old name": ("GET", "/swagger.json", {}, READERS),
    "see the page": ("GET", "/ui/", {}, READERS),
    "see a part of the page": ("GET", "/ui/swagger-ui.css", {}, READERS),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_a_role_may_do_what_it_says(api: Api, site: Site, what: str) -> None:
    method, path, more, allowed = REQUESTS[what]
    for user in (None, *sorted(EVERYBODY - allowed)):
        before = left(HOME)
        assert api.ask(method, path, user, **more).status_code == (403 if user else 401), user
        assert left(HOME) == before
    statuses = {user: api.ask(method, path, user, **more).status_code for user in sorted(allowed)}
    # What one of them started, the next one cannot start again.
    assert set(statuses.values()) <= ({200, 409} if "start" in what else {200}), statuses
    assert 200 in statuses.values()


def test_a_run_of_wes_is_for_who_may_read_it(api: Api, site: Site) -> None:
    run_id = api.ask("POST", "/wes/runs", "admin", **ATTACHED).json()["run_id"]
    for path, method, allowed in (("", "GET", READERS), ("/status", "GET", READERS), ("/cancel", "POST", STARTERS)):
        for user in EVERYBODY:
            status = api.ask(method, f"/wes/runs/{run_id}{path}", user).status_code
            assert status == (200 if user in allowed else 403), (path, user)
    assert api.ask("GET", f"/wes/runs/{run_id}/status", "viewer").json() == {
        "run_id": run_id,
        "state": "EXECUTOR_ERROR",
    }


@pytest.mark.parametrize(
    "path", ["/dags", "/dag_runs", "/wes/service-info", "/ui/", "/swagger.json", "/nothing", "//dags"]
)
def test_strangers_learn_nothing(api: Api, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # For a user that is not there Airflow checks a password as its own are kept, which takes 0.1 s each time.
    check = override.check_password_hash
    monkeypatch.setattr(
        override, "check_password_hash", lambda digest, given: digest.startswith(HASH) and check(digest, given)
    )
    for auth in (None, ("admin", "wrong"), ("nobody", "nobody"), ("admin", ""), ("", "admin")):
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            answer = api.ask(method, path, auth)
            assert answer.status_code == 401
            assert answer.headers.get_list("WWW-Authenticate") == ['Basic realm="CWL API", charset="UTF-8"', "Bearer"]


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic =====", "Basic /w==", "Basic YWRtaW4=", "Basic YWRtaW46", "Digest username=x", "x", ""],
)
def test_what_is_no_login_is_none(api: Api, header: str) -> None:
    assert api.ask("GET", "/dags", headers={"Authorization": header}).status_code == 401
    assert api.ask("GET", "/dags", headers={"Authorization": "basic YWRtaW46YWRtaW4="}).status_code == 200


def test_without_a_key_nobody_is_asked_for_a_token(api: Api) -> None:
    from airflow import settings
    from airflow.models import Variable

    Variable.delete("jwt_backend_public_key")
    settings.Session.remove()
    assert api.ask("GET", "/dags").headers.get_list("WWW-Authenticate") == ['Basic realm="CWL API", charset="UTF-8"']


@pytest.mark.parametrize("origin", ["http://elsewhere", "null", "http://[", "https://localhost"])
def test_pages_of_other_sites_change_nothing(api: Api, origin: str) -> None:
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    before = left(HOME)
    assert api.ask("POST", "/dag_runs?dag_id=mine&run_id=run", "admin", headers=headers).status_code == 403
    assert left(HOME) == before
    assert api.ask("GET", "/dags", "admin", headers=headers).status_code == 200
    for number, own in enumerate(
        (
            {"Origin": "http://localhost:8081"},
            # A proxy may have the service at another address. A page cannot set this.
            {"Origin": "https://site.example.org", "Sec-Fetch-Site": "same-origin"},
        )
    ):
        path = f"/dag_runs?dag_id=mine&run_id=run-{number}"
        assert api.ask("POST", path, "admin", headers=own).status_code == 200


def test_what_is_not_there_is_told_to_who_may_look(api: Api) -> None:
    assert api.ask("GET", "/nothing", "public").status_code == 403
    assert api.ask("GET", "/nothing", "viewer").status_code == 404
    assert api.ask("GET", "/dags/", "viewer").status_code == 404
    answer = api.ask("DELETE", "/dags", "viewer")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert api.ask("DELETE", "/dags", "public").status_code == 403


def test_the_head_of_an_answer_is_that_of_the_answer(api: Api) -> None:
    for path, user in (("/dags", "viewer"), ("/dags", "public"), ("/nothing", "viewer")):
        whole, head = api.ask("GET", path, user), api.ask("HEAD", path, user)
        assert (head.status_code, head.headers) == (whole.status_code, whole.headers)


def test_each_route_says_who_may_use_it(api: Api) -> None:
    from cwl_airflow.api.access import Access
    from cwl_airflow.api.routes.route import make_router

    assert all(isinstance(route.endpoint.access, Access) for route in api.app.routes)
    assert {route.path for route in api.app.routes if not route.path.startswith(BASE)} == {"/"}
    with pytest.raises(TypeError, match="does not say who may use it"):
        make_router().get("/open")(lambda: None)


def test_who_starts_a_run_is_noted(api: Api, site: Site) -> None:
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    api.ask("POST", f"/dag_runs?dag_id=mine&run_id=run&conf={JOB}", "narrow")
    with create_session() as session:
        (run,) = DagRun.find(dag_id="mine", session=session)
        assert run.conf["cwl_airflow_caller"] == {"name": "narrow", "reads": ["mine"], "documents": False}


def test_a_job_reads_nothing_that_its_user_may_not(api: Api, site: Site) -> None:
    (site.outputs / "other").mkdir()
    file = site.outputs / "other" / "secret.txt"
    file.write_text("x", encoding="utf-8")
    before = left(HOME)
    for path in (file, Path("/etc/passwd")):
        job = {"job": {"a": {"class": "File", "path": str(path)}}}
        assert api.ask("POST", "/dags/mine/dag_runs", "narrow", json={"run_id": "r", "conf": job}).status_code == 403
    assert left(HOME) == before
    job = {"job": {"a": {"class": "File", "path": str(file)}}}
    assert api.ask("POST", "/dags/mine/dag_runs", "user", json={"run_id": "r", "conf": job}).status_code == 200


def test_a_document_may_come_compressed(api: Api, site: Site) -> None:
    answer = api.ask("POST", "/dags?dag_id=packed", "admin", data={"workflow_content": PACKED})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "dag_id": "packed",
        "cwl_path": str(site.dags / "packed.cwl"),
        "dag_path": str(site.dags / "packed.py"),
    }
    assert json.loads((site.dags / "packed.cwl").read_text(encoding="utf-8")) == json.loads(DOCUMENT)


def test_an_address_from_which_many_logins_failed_waits_for_a_minute(
    api: Api, application: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failed_logins, "MOST", RateLimitItemPerMinute(3))
    wrong = ("user", "wrong")
    assert [api.ask("GET", "/dags", user).status_code for user in (wrong, "user", wrong, wrong)] == [401, 200, 401, 401]
    for user in (wrong, "user"):
        answer = api.ask("GET", "/dags", user)
        assert (answer.status_code, answer.json()["detail"]) == (429, "Too many logins failed: try again in a minute.")
    # Others are not held up; and a proxy of this host says who they are.
    assert Api(application).ask("GET", "/dags", "user").status_code == 200
    proxy = Api(application, "127.0.0.1")
    for address, status in (("192.0.2.1", 401), ("192.0.2.2", 401)) * 2 + (("192.0.2.1", 401), ("192.0.2.1", 429)):
        said = {"X-Forwarded-For": f"192.0.2.3, {address}"}
        assert proxy.ask("GET", "/dags", wrong, headers=said).status_code == status
    for address, status in (("2001:db8::1", 401), ("2001:db8::2", 401), ("2001:db8::3", 401), ("2001:db8::4", 429)):
        assert proxy.ask("GET", "/dags", wrong, headers={"X-Forwarded-For": address}).status_code == status
    # On the host itself each user counts.
    assert [proxy.ask("GET", "/dags", wrong).status_code for _ in range(4)] == [401, 401, 401, 429]
    assert proxy.ask("GET", "/dags", "viewer").status_code == 200
    # Nobody else is believed.
    said = {"X-Forwarded-For": "192.0.2.2"}
    assert api.ask("GET", "/dags", "user", headers=said).status_code == 429
