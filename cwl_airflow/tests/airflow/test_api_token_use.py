"""Tokens at the CWL API: good for one run or one request, and not used up by what is refused."""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import pytest
from api import BASE, DOCUMENT, Api, bearer, left, sign
from cryptography.hazmat.primitives.asymmetric import rsa
from home import HOME, Site

RUN = {"run_id": "run", "conf": '{"job": {}}'}


def trigger(api: Api, body: dict[str, Any], dag_id: str = "mine", user: str | None = None) -> tuple[int, str]:
    """Return status and detail of the answer to a request with a token in its body."""
    answer = api.ask("POST", f"/dags/{dag_id}/dag_runs", user, json=body)
    return answer.status_code, answer.json().get("detail", "")


def signed(body: dict[str, Any] = RUN, **more: Any) -> dict[str, Any]:
    return body | {"token": sign(body | more)}


@pytest.fixture
def no_change(api: Api) -> Any:
    """Check that a test leaves nothing."""
    before = left(HOME)
    yield
    assert left(HOME) == before


def test_a_token_starts_one_run(api: Api) -> None:
    body = signed()
    assert trigger(api, body)[0] == 200
    assert trigger(api, body) == (403, "Token refused: the token was used before.")
    assert trigger(api, body, "other") == (403, "Token refused: the token was used before.")
    assert trigger(api, signed(jti="2")) == (403, "Token refused: run_id 'run' of DAG 'mine' was accepted before.")
    assert trigger(api, signed(jti="3"), "other")[0] == 200
    assert trigger(api, signed(jti="4", dag_id="other", exp=int(time.time()) + 9))[0] == 403


ATTACKS = {
    "changed conf": signed() | {"conf": "{}"},
    "changed run": signed() | {"run_id": "another"},
    "more in the body": signed() | {"more": 1},
    "for another DAG": signed(dag_id="other"),
    "ended": signed(exp=5),
    "no text": RUN | {"token": 1},
    "none": RUN | {"token": None},
    "nonsense": RUN | {"token": "x.y.z"},
    "of another key": RUN | {"token": sign(RUN, rsa.generate_private_key(65537, 2048))},
    "without conf": signed({"run_id": "run"}),
    "with a long name": signed({"run_id": "r" * 251, "conf": "{}"}),
    "with a name that is none": signed({"run_id": "a\n", "conf": "{}"}),
    "with a number as name": signed({"run_id": 1, "conf": "{}"}),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("user", [None, "admin"])
def test_an_attack_is_refused(api: Api, attack: str, user: str | None, no_change: None) -> None:
    # A good login does not help a bad token.
    status, detail = trigger(api, ATTACKS[attack], user=user)
    assert (status, detail.startswith("Token refused: ")) == (403, True)


def test_what_is_refused_uses_up_no_token(api: Api, no_change: None) -> None:
    secret = {"run_id": "run", "conf": {"job": {"a": {"class": "File", "path": "/etc/passwd"}}}}
    for _ in range(2):
        assert trigger(api, signed(), "not-there")[0] == 404
        assert trigger(api, signed(secret))[0] == 403
        assert trigger(api, signed({"run_id": "run", "conf": "["}))[0] == 400


@pytest.mark.full
def test_a_token_stops_a_run(api: Api) -> None:
    assert trigger(api, signed())[0] == 200
    body = {"run_id": "stop", "conf": json.dumps({"remove_dag_id": "mine", "remove_run_id": "run"})}
    assert trigger(api, body | {"token": sign(body | {"conf": "{}"})}, "clean_dag_run")[0] == 403
    answer = api.ask("POST", "/dags/clean_dag_run/dag_runs", json=signed(body))
    assert answer.json() | {"execution_date": "", "start_date": ""} == {
        "dag_id": "clean_dag_run",
        "run_id": "stop",
        "execution_date": "",
        "start_date": "",
        "state": "success",
    }
    assert api.ask("GET", "/dag_runs?dag_id=mine", "viewer").json() == {"dag_runs": []}
    assert trigger(api, signed({"run_id": "stop-2", "conf": "{}"}), "clean_dag_run")[0] == 400


@pytest.mark.parametrize("body", [b"", b"x" * (2**20 + 1)])
def test_without_a_login_a_job_is_small(api: Api, body: bytes, no_change: None) -> None:
    headers = {"Content-Type": "application/json"}
    assert api.ask("POST", "/dags/mine/dag_runs", content=body, headers=headers).status_code == 413
    assert api.ask("POST", "/dags/mine/dag_runs", ("admin", "wrong"), content=body, headers=headers).status_code == 401
    assert api.ask("POST", "/dags/mine/dag_runs", "admin", content=body, headers=headers).status_code == 400


def test_a_request_token_is_for_one_request(api: Api) -> None:
    header = bearer("GET", "/dag_runs?dag_id=mine")
    for _ in range(2):
        assert api.ask("GET", "/dag_runs?dag_id=mine", headers=header).status_code == 200  # it changes nothing
    for method, path in (("GET", "/dag_runs?dag_id=other"), ("GET", "/dags"), ("POST", "/dag_runs?dag_id=mine")):
        assert api.ask(method, path, headers=header).status_code == 403
    assert api.ask("GET", "/dags", headers={"Authorization": "Bearer"}).status_code == 403
    assert api.ask("HEAD", "/dags", headers=bearer("HEAD", "/dags")).status_code == 200
    assert api.ask("HEAD", "/dags", headers=bearer("GET", "/dags")).status_code == 403
    assert api.ask("GET", "/ui/", headers=bearer("GET", "/ui/")).status_code == 200
    assert api.ask("GET", "/nothing", headers=bearer("GET", "/nothing")).status_code == 404


def test_a_request_token_changes_something_once(api: Api) -> None:
    path = "/dag_runs?dag_id=mine&run_id=run"
    header = bearer("POST", path)
    assert api.ask("POST", path, headers=header).status_code == 200
    assert api.ask("POST", path, headers=header).json()["detail"] == "Token refused: the token was used before."
    header = bearer("POST", path)
    for _ in range(2):
        assert api.ask("POST", path, headers=header).status_code == 409


def test_a_request_token_is_for_its_body(api: Api) -> None:
    path, body = "/dags/mine/dag_runs", b'{"run_id": "run"}'
    json_type = {"Content-Type": "application/json"}
    for header, sent in ((bearer("POST", path), body), (bearer("POST", path, body), body + b" ")):
        assert api.ask("POST", path, content=sent, headers=header | json_type).status_code == 403
    header = bearer("POST", path, body) | json_type
    assert api.ask("POST", path, content=body, headers=header).status_code == 200
    assert api.ask("POST", path, content=body, headers=header).status_code == 403


def test_an_upload_with_a_token(api: Api, site: Site) -> None:
    path = f"/dags/dag_runs?dag_id=new&run_id=run&conf={quote('{}')}"
    before = left(HOME)
    header = bearer("POST", path)
    for _ in range(2):  # a document that is none uses up no token
        files = {"workflow": ("a.cwl", b"none")}
        assert api.ask("POST", path, files=files, headers=header).status_code == 400
    assert left(HOME) == before
    assert api.ask("POST", path, files={"workflow": ("a.cwl", DOCUMENT)}, headers=header).status_code == 200
    assert api.ask("POST", path, files={"workflow": ("a.cwl", DOCUMENT)}, headers=header).status_code == 403


def test_an_upload_is_what_was_signed_if_its_token_says_what(api: Api) -> None:
    path = f"/dags/dag_runs?dag_id=new&run_id=run&conf={quote('{}')}"
    head = b'--x\r\nContent-Disposition: form-data; name="workflow"; filename="a.cwl"\r\n\r\n'
    body = head + DOCUMENT + b"\r\n--x--\r\n"
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    another = bearer("POST", path, body + b" ") | form
    answer = api.ask("POST", path, content=body, headers=another)
    assert (answer.status_code, answer.json()["detail"]) == (403, "Token refused: the token is for another body.")
    assert api.ask("POST", path, content=body, headers=bearer("POST", path, body) | form).status_code == 200


@pytest.mark.parametrize("claim", ["exp", "sub", "method", "path"])
def test_a_request_token_has_to_say_what_it_is_for(api: Api, claim: str, no_change: None) -> None:
    said = {"exp": int(time.time()) + 60, "sub": "test", "method": "GET", "path": f"{BASE}/dags"}
    del said[claim]
    answer = api.ask("GET", "/dags", headers={"Authorization": f"Bearer {sign(said)}"})
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        f'Token refused: Token is missing the "{claim}" claim.',
    )


@pytest.mark.parametrize("exp", [2**31 - 2, 2**31 - 1, 2**31, 2**40, 2e9 + 0.5])
def test_a_token_is_good_once_however_late_it_ends(api: Api, exp: float) -> None:
    from airflow import settings

    assert trigger(api, signed(exp=exp))[0] == 200
    assert trigger(api, signed(exp=exp)) == (403, "Token refused: the token was used before.")
    with settings.engine.connect() as connection:
        (ends,) = connection.exec_driver_sql("SELECT expires FROM cwl_used_tokens").scalars()
    last = 2**31 - 1
    expected = None if exp >= last else datetime.fromtimestamp(int(exp), tz=timezone.utc)
    assert (ends and datetime.fromisoformat(ends).replace(tzinfo=timezone.utc)) == expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"run_id": 1, "conf": "{}"}, "run_id is no text"),
        ({"run_id": "a\n", "conf": "{}"}, "run_id has a character that no name may have: U+000A"),
        ({"run_id": "r" * 251, "conf": "{}"}, "run_id has more than 250 characters"),
    ],
)
def test_why_a_run_with_a_token_is_refused(api: Api, body: dict[str, Any], message: str, no_change: None) -> None:
    assert trigger(api, signed(body)) == (403, f"Token refused: {message}.")


def test_the_log_says_whose_token_it_was(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    trigger(api, signed())
    trigger(api, signed(RUN | {"run_id": "two"}, sub="alice"))
    api.ask("GET", "/dags", headers=bearer("GET", "/dags", sub="bob"))
    said = [record.getMessage() for record in caplog.records if record.name.endswith("admission")]
    assert said == [
        f"POST {BASE}/dags/mine/dag_runs by token of the key",
        f"POST {BASE}/dags/mine/dag_runs by token of alice",
        f"GET {BASE}/dags by token of bob",
    ]


def test_a_failure_uses_up_no_token(api: Api, monkeypatch: pytest.MonkeyPatch, no_change: None) -> None:
    from cwl_airflow.api.routes import dag_runs

    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(dag_runs, "trigger_or_stop", fail)
    answer = api.ask("POST", "/dags/mine/dag_runs", json=signed())
    assert (answer.status_code, answer.json()["title"]) == (500, "Internal Server Error")


def test_a_key_that_checks_nothing_is_no_key(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    from airflow import settings
    from airflow.models import Variable

    Variable.set("jwt_backend_algorithm", "HS256")
    settings.Session.remove()
    assert trigger(api, signed()) == (403, "Token refused: no token can be checked: the log of the service says why.")
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.getMessage().startswith("No token can be checked: jwt_backend_public_key is no key for HS256: ")
    Variable.delete("jwt_backend_public_key")
    settings.Session.remove()
    assert trigger(api, signed()) == (403, "Token refused: this site accepts no tokens.")


def test_a_site_may_ask_for_more_claims(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__JWT_REQUIRED_CLAIMS", "exp,dag_id, jti")
    said = {"exp": int(time.time()) + 60, "dag_id": "mine", "jti": "1"}
    for claim in said:
        others = {name: value for name, value in said.items() if name != claim}
        assert trigger(api, signed(**others)) == (403, f'Token refused: Token is missing the "{claim}" claim.')
    assert trigger(api, signed(**said))[0] == 200
    monkeypatch.setenv("AIRFLOW__CWL__JWT_REQUIRED_CLAIMS", "")
    assert trigger(api, signed(RUN | {"run_id": "two"}))[0] == 200


def test_tokens_that_have_ended_are_forgotten(api: Api) -> None:
    from airflow import settings
    from cwl_airflow.api.tokens.used import LAST_DATE, use_up

    use_up("ended", 5)
    use_up("for ever", LAST_DATE)
    use_up("another", time.time() + 60)
    with settings.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT digest FROM cwl_used_tokens").scalars()
        assert set(found) == {"for ever", "another"}
