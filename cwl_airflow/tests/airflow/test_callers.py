"""Who starts a run is noted in it, whoever makes it: asked of a real api-server in this process, with real tokens."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rows
import sqlalchemy as sa
from airflow.models import DagRun, TaskInstance
from airflow.sdk import DAG
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from cwl_airflow.callers import (
    DOCUMENTS,
    KEY,
    NOBODY,
    Caller,
    CallerMiddleware,
    acting_as,
    unrestricted_caller,
)
from fastapi.testclient import TestClient
from home import forget_connections, restored

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


USERS = {"boss": "Admin", "reader": "Narrow"}


@pytest.fixture(scope="module")
def database(airflow_home: Path) -> Path:
    """Return the file of a database with two users, a DAG, and a run of it that has a task."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    rows_database = airflow_home / "callers.db"
    restored(airflow_home / "empty.db")
    with get_application_builder() as builder:
        manager = builder.sm
        narrow = manager.add_role("Narrow")
        for action, resource in [("can_read", "DAG:mine"), ("can_edit", "DAG:mine"), ("can_create", "DAG Runs")]:
            manager.add_permission_to_role(narrow, manager.create_permission(action, resource))
        for name, role in USERS.items():
            manager.add_user(name, "A", "B", f"{name}@example.org", manager.find_role(role), password=name)
        admin = manager.find_role("Admin")
        manager.add_permission_to_role(admin, manager.create_permission("can_create", DOCUMENTS))
    for dag_id in ("mine", "other"):
        rows.add_dag(DAG(dag_id, schedule=None))
    forget_connections()
    shutil.copy(airflow_home / "airflow.db", rows_database)
    return rows_database


@pytest.fixture
def server(database: Path) -> Iterator[TestClient]:
    """Return Airflow's api-server, which is asked without a network."""
    from airflow.api_fastapi.app import cached_app

    restored(database)
    with TestClient(cached_app()) as client:
        yield client


def token_of(server: TestClient, user: str) -> dict[str, str]:
    """Return the header of a user who has logged in."""
    answer = server.post("/auth/token", json={"username": user, "password": user})
    assert answer.status_code == 201
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def noted(run_id: str) -> Caller:
    """Return who started a run."""
    with create_session() as session:
        return Caller.of(session.scalar(sa.select(DagRun.conf).where(DagRun.run_id == run_id)))


def test_a_user_of_airflows_rest_api_is_noted(server: TestClient) -> None:
    given = {KEY: {"name": "root", "reads": "all", "documents": True}, **JOB}
    for user in USERS:
        body = {"dag_run_id": user, "logical_date": None, "conf": given}
        answer = server.post("/api/v2/dags/mine/dagRuns", json=body, headers=token_of(server, user))
        assert answer.status_code == 200, answer.text
    assert noted("boss") == Caller("boss", None, True)
    assert noted("reader") == Caller("reader", frozenset({"mine"}), False)


def test_who_started_a_run_is_noted_in_what_its_task_starts(server: TestClient) -> None:
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
        answer = server.post(f"/execution/dag-runs/other/{run_id}-child", json=body, headers=header)
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


def test_if_it_is_not_known_who_asks_nothing_is_allowed(
    server: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no auth manager")

    header = token_of(server, "boss")
    monkeypatch.setattr("cwl_airflow.callers.from_permissions", fail)
    body = {"dag_run_id": "lost", "logical_date": None, "conf": JOB}
    assert server.post("/api/v2/dags/mine/dagRuns", json=body, headers=header).status_code == 200
    assert noted("lost") == NOBODY
    assert "It is not known who starts the run" in caplog.text
