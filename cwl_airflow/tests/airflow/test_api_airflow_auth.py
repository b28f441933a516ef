"""Tokens at Airflow's own REST API: the authentication backend, with Flask's real requests."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from api import Api, sign


@pytest.fixture
def ask(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return what asks a page that is behind the backend, twice over, and says who was logged in."""
    from airflow import settings
    from cwl_airflow.api.tokens import airflow_auth
    from cwl_airflow.api.users import Users
    from flask import request
    from flask_login import current_user

    monkeypatch.setenv("AIRFLOW__CWL__JWT_USER", "user")
    app = Users()._app
    airflow_auth.init_app(app)

    @airflow_auth.requires_authentication
    @airflow_auth.requires_authentication
    def page(name: str) -> str:
        return f"{name} {current_user.username} {len(request.get_data())}"

    app.add_url_rule("/checks/<name>", view_func=page, methods=["GET", "POST"])

    def asked(method: str, path: str, claims: dict[str, Any] | None, **more: Any) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {sign(claims)}"} if claims is not None else {}
        answer = app.test_client().open(path, method=method, headers=headers, **more)
        settings.Session.remove()
        # A browser that a token was tried in is not logged in from then on.
        assert "remember_token" not in str(answer.headers.getlist("Set-Cookie"))
        return answer.status_code, answer.get_data(as_text=True)

    yield asked
    settings.Session.remove()


def claims(method: str, path: str, **more: Any) -> dict[str, Any]:
    return {"exp": int(time.time()) + 60, "sub": "test", "method": method, "path": path, **more}


def test_a_request_acts_as_the_user_of_tokens(ask: Any) -> None:
    said = claims("GET", "/checks/a?b=1")
    assert ask("GET", "/checks/a?b=1", said) == (200, "a user 0")
    assert ask("GET", "/checks/a?b=2", said)[0] == 401
    assert ask("GET", "/checks/b?b=1", said)[0] == 401
    assert ask("GET", "/checks/a?b=1", None)[0] == 401


def test_a_request_that_changes_something_is_accepted_once_with_its_body(ask: Any) -> None:
    body = json.dumps({"a": 1}).encode()
    said = claims("POST", "/checks/a", sha256=hashlib.sha256(body).hexdigest())
    more = {"content_type": "application/json"}
    assert ask("POST", "/checks/a", said, data=body + b" ", **more)[0] == 401
    assert ask("POST", "/checks/a", said, data=body, **more) == (200, f"a user {len(body)}")
    assert ask("POST", "/checks/a", said, data=body, **more)[0] == 401


def test_an_upload_may_do_without_its_digest_and_other_bodies_not(ask: Any) -> None:
    for media_type, status in (("multipart/form-data; boundary=x", 200), ("text/plain", 401)):
        said = claims("POST", "/checks/a")
        assert ask("POST", "/checks/a", said, data=b"--x--\r\n", content_type=media_type)[0] == status


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the backend logged."""
    return [record.getMessage() for record in caplog.records if record.name.endswith("airflow_auth")]


def test_the_log_says_who_asked_for_what_and_why_not(ask: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ask("GET", "/checks/a?b=1", claims("GET", "/checks/a?b=1"))
    ask("GET", "/checks/a", claims("GET", "/checks/b"))
    ask("GET", "/checks/a", None)
    assert logged(caplog) == [
        "GET /checks/a by token of test as user",
        "GET /checks/a refused: the token is for another path",
        "GET /checks/a refused: no token",
    ]


@pytest.mark.parametrize("name", [None, "", "not-there"])
def test_without_a_user_of_tokens_none_is_accepted(
    ask: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str | None
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.delenv("AIRFLOW__CWL__JWT_USER")
    if name is not None:
        monkeypatch.setenv("AIRFLOW__CWL__JWT_USER", name)
    assert ask("GET", "/checks/a", claims("GET", "/checks/a"))[0] == 401
    assert logged(caplog) == [
        f"No token is accepted: [cwl] jwt_user is '{name or ''}', which is no active user of Airflow",
        "GET /checks/a refused: the user of tokens is not there",
    ]
