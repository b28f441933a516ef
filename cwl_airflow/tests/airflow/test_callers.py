"""Who starts a run is noted in it, whoever makes it: asked of a real api-server in this process, with real tokens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import rows
import sqlalchemy as sa
from airflow.models import DagRun, TaskInstance
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from cwl_airflow.callers import (
    KEY,
    NOBODY,
    Caller,
    CallerMiddleware,
    acting_as,
    unrestricted_caller,
)
from home import USERS

THIS_HOST = unrestricted_caller("this host")
JOB = {"job": {"word": "hello"}}


@pytest.mark.parametrize(
    ("made_by", "caller"),
    [
        (DagRunTriggeredByType.CLI, THIS_HOST),
        (DagRunTriggeredByType.TIMETABLE, THIS_HOST),
        (None, THIS_HOST),
        (DagRunTriggeredByType.UI, NOBODY),
        (DagRunTriggeredByType.REST_API, NOBODY),
        (DagRunTriggeredByType.OPERATOR, NOBODY),
    ],
)
def test_without_a_request_only_the_host_itself_may_all(made_by: Any, caller: Caller) -> None:
    assert Caller.of(DagRun("a", "b", conf=JOB, triggered_by=made_by).conf) == caller


def test_what_a_configuration_says_itself_is_written_over() -> None:
    with acting_as(Caller("eve", frozenset({"mine"}), False)):
        run = DagRun("a", "b", conf={**JOB, KEY: {"name": "root", "reads": "all", "documents": True}})
    assert Caller.of(run.conf) == Caller("eve", frozenset({"mine"}), False)
    assert run.conf["job"] == JOB["job"]


def test_a_run_without_a_configuration_stays_without() -> None:
    assert DagRun("a", "b").conf == {}
    assert DagRun("a", "b", conf={"x": 1}).conf == {"x": 1}


def token_of(api_server: Any, user: str) -> dict[str, str]:
    """Return the header of a user who has logged in."""
    answer = api_server.post("/auth/token", json={"username": user, "password": user})
    assert answer.status_code == 201
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def noted(run_id: str) -> Caller:
    """Return who started a run."""
    with create_session() as session:
        return Caller.of(session.scalar(sa.select(DagRun.conf).where(DagRun.run_id == run_id)))


@pytest.mark.full
def test_a_user_of_airflows_rest_api_is_noted(api_server: Any) -> None:
    given = {KEY: {"name": "root", "reads": "all", "documents": True}, **JOB}
    for user in USERS:
        body = {"dag_run_id": user, "logical_date": None, "conf": given}
        answer = api_server.post("/api/v2/dags/mine/dagRuns", json=body, headers=token_of(api_server, user))
        assert answer.status_code == 200, answer.text
    assert noted("boss") == Caller("boss", None, True)
    assert noted("reader") == Caller("reader", frozenset({"mine"}), False)


@pytest.mark.full
def test_who_started_a_run_is_noted_in_what_its_task_starts(api_server: Any) -> None:
    from airflow.executors.executor_loader import ExecutorLoader

    generator = ExecutorLoader.get_default_executor().jwt_generator
    parents = {"of-eve": Caller("eve", frozenset({"mine"}), False), "of-the-host": None}
    for run_id, caller in parents.items():
        rows.add_run(run_id, "mine", logical_date=None)
        rows.change_run(run_id, conf=caller.noted_in(JOB) if caller else {})
        rows.add_task("start", "running", 0, run_id=run_id, dag_id="mine")
        with create_session() as session:
            task = session.scalar(sa.select(TaskInstance.id).where(TaskInstance.run_id == run_id))
        header = {"Authorization": f"Bearer {generator.generate({'sub': str(task)})}"}
        body = {"conf": {"job": {}}}
        answer = api_server.post(f"/execution/dag-runs/other/{run_id}-child", json=body, headers=header)
        assert answer.status_code in (200, 201, 204), answer.text
    assert noted("of-eve-child") == parents["of-eve"]
    assert noted("of-the-host-child") == THIS_HOST


def test_it_is_asked_only_for_what_may_make_a_run() -> None:
    asked: list[Any] = []

    async def app(scope: Any, *_: Any) -> None:
        asked.append(scope["type"])

    async def ask() -> None:
        for scope in ({"type": "lifespan"}, {"type": "http", "method": "GET"}):
            await CallerMiddleware(app)(scope, None, None)  # neither path nor headers are looked at

    asyncio.run(ask())
    assert asked == ["lifespan", "http"]


@pytest.mark.full
def test_if_it_is_not_known_who_asks_nothing_is_allowed(
    api_server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no auth manager")

    header = token_of(api_server, "boss")
    monkeypatch.setattr("cwl_airflow.callers.from_permissions", fail)
    body = {"dag_run_id": "lost", "logical_date": None, "conf": JOB}
    assert api_server.post("/api/v2/dags/mine/dagRuns", json=body, headers=header).status_code == 200
    assert noted("lost") == NOBODY
    assert "It is not known who starts the run" in caplog.text
