"""Signed tokens at Airflow's own REST API, with the whole of its api-server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from importlib.metadata import entry_points
from typing import Any

import httpx
import pytest
from api import Api, sign

DAG = "/api/v2/dags/mine"


@pytest.fixture(scope="session")
def server(application: Any) -> Any:
    """Return Airflow's own application, with the plug-in that lets tokens in."""
    from airflow.api_fastapi.app import create_app

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CWL__JWT_USER", "user")
        return create_app(apps="core")


class Server:
    """Airflow's own application, asked without a server."""

    def __init__(self, app: Any) -> None:
        """Note which."""
        self._app = app

    def ask(self, method: str, path: str, claims: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
        """Return the answer to a request with a token that says `claims`."""
        headers = {"Authorization": f"Bearer {sign(claims)}"} if claims is not None else {}
        return asyncio.run(self._ask(method, path, headers=headers | more.pop("headers", {}), **more))

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080", timeout=60) as client:
            return await client.request(method, path, **more)


@pytest.fixture
def airflow(api: Api, server: Any, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Return Airflow's REST API, at which tokens are the user `user`."""
    monkeypatch.setenv("AIRFLOW__CWL__JWT_USER", "user")
    return Server(server)


def claims(method: str, path: str, **more: Any) -> dict[str, Any]:
    return {"exp": int(time.time()) + 60, "sub": "test", "method": method, "path": path, **more}


@pytest.mark.full
def test_airflow_loads_it(airflow: Server) -> None:
    (found,) = entry_points(group="airflow.plugins", name="cwl_airflow")
    # Of several, the last one is asked first: the others know Airflow's own tokens only.
    assert found.load().fastapi_root_middlewares[-1]["name"] == "Signed tokens"


def test_a_request_acts_as_the_user_of_tokens(airflow: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{DAG}?fields=dag_id"
    said = claims("GET", path)
    for _ in range(2):  # it changes nothing
        assert airflow.ask("GET", path, said).json()["dag_id"] == "mine"
    for other in (f"{DAG}?fields=owners", "/api/v2/dags/other?fields=dag_id", DAG):
        assert airflow.ask("GET", other, said).status_code == 401
    assert airflow.ask("GET", path).status_code == 401
    monkeypatch.setenv("AIRFLOW__CWL__JWT_USER", "public")
    assert airflow.ask("GET", path, said).status_code == 403


def test_a_request_that_changes_something_is_accepted_once_with_its_body(airflow: Server) -> None:
    body = json.dumps({"is_paused": False}).encode()
    said = claims("PATCH", DAG, sha256=hashlib.sha256(body).hexdigest())
    headers = {"Content-Type": "application/json"}
    answer = airflow.ask("PATCH", DAG, said, content=body + b" ", headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (401, "Token refused: the token is for another body.")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert airflow.ask("PATCH", DAG, said, content=body, headers=headers).json()["is_paused"] is False
    assert airflow.ask("PATCH", DAG, said, content=body, headers=headers).status_code == 401


def test_a_body_needs_its_digest(airflow: Server) -> None:
    answer = airflow.ask(
        "PATCH", DAG, claims("PATCH", DAG), content=b"{}", headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, "sha256" in answer.json()["detail"]) == (401, True)


def test_a_run_that_a_token_starts_is_noted_as_the_user_s(airflow: Server) -> None:
    from airflow.models import DagRun

    path = f"{DAG}/dagRuns"
    body = json.dumps({"dag_run_id": "run", "logical_date": None, "conf": {"job": {}}}).encode()
    said = claims("POST", path, sha256=hashlib.sha256(body).hexdigest())
    answer = airflow.ask("POST", path, said, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    (run,) = DagRun.find(dag_id="mine")
    assert run.conf["cwl_airflow_caller"] == {"name": "user", "reads": "all", "documents": False}


def test_a_token_that_has_ended_or_is_of_another_key_is_refused(airflow: Server) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    assert airflow.ask("GET", DAG, claims("GET", DAG, exp=5)).status_code == 401
    forged = sign(claims("GET", DAG), rsa.generate_private_key(65537, 2048))
    assert airflow.ask("GET", DAG, headers={"Authorization": f"Bearer {forged}"}).status_code == 401


def test_a_site_that_takes_none_has_nothing_before_airflow() -> None:
    from cwl_airflow.plugin import take_signed_tokens

    assert take_signed_tokens("application") == "application"


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged of tokens."""
    return [record.getMessage() for record in caplog.records if record.name.endswith("airflow_auth")]


def test_the_log_says_who_asked_for_what_and_why_not(airflow: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    airflow.ask("GET", f"{DAG}?fields=dag_id", claims("GET", f"{DAG}?fields=dag_id"))
    airflow.ask("GET", DAG, claims("GET", "/api/v2/dags/other"))
    assert logged(caplog) == [
        f"GET {DAG} by token of test as user",
        f"GET {DAG} refused: the token is for another path",
    ]


@pytest.mark.parametrize("name", [None, "", "not-there"])
def test_without_a_user_of_tokens_none_is_accepted(
    airflow: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str | None
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.delenv("AIRFLOW__CWL__JWT_USER")
    if name is not None:
        monkeypatch.setenv("AIRFLOW__CWL__JWT_USER", name)
    assert airflow.ask("GET", DAG, claims("GET", DAG)).status_code == 401
    assert logged(caplog) == [
        f"No token is accepted: [cwl] jwt_user is '{name or ''}', which is no active user of Airflow",
        f"GET {DAG} refused: the user of tokens is not there",
    ]


def test_what_is_not_the_rest_api_takes_no_signed_token(airflow: Server) -> None:
    # Airflow itself says that the token is none of its own.
    for path in ("/ui/dags", "/auth/fab/v1/users"):
        assert airflow.ask("GET", path, claims("GET", path)).status_code == 403


@pytest.mark.parametrize(("user", "status"), [("user", 200), ("narrow", 200), ("public", 403)])
def test_tokens_of_airflow_s_own_stay_as_they_are(airflow: Server, user: str, status: int) -> None:
    login = {"username": user, "password": user}
    own = airflow.ask("POST", "/auth/token", json=login).json()["access_token"]
    assert airflow.ask("GET", DAG, headers={"Authorization": f"Bearer {own}"}).status_code == status


@pytest.mark.parametrize("cut_off", [True, False])
@pytest.mark.parametrize("before", ["/before", DAG[:2]])
def test_the_path_is_signed_with_what_a_site_has_before_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, before: str, cut_off: bool
) -> None:
    from cwl_airflow.api.tokens.airflow_auth import TokenMiddleware
    from starlette.responses import PlainTextResponse

    path = DAG if cut_off else before + DAG

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("inside")({**scope, "root_path": ""}, receive, send)

    async def below(scope: Any, receive: Any, send: Any) -> None:
        await TokenMiddleware(inside)({**scope, "root_path": before}, receive, send)

    monkeypatch.setenv("AIRFLOW__CWL__JWT_USER", "user")
    server = Server(below)
    assert server.ask("GET", path, claims("GET", before + DAG)).text == "inside"
    assert server.ask("GET", path, claims("GET", DAG)).status_code == 401
