"""The client of Airflow's REST API against Airflow's api-server, which answers in this process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import rows
import sqlalchemy as sa
from airflow.models import TaskInstance
from airflow.models.errors import ParseImportError
from airflow.utils.session import create_session
from cwl_airflow.rest import AirflowClient, NotFound, RestError, RunFailed
from requests.adapters import BaseAdapter


class InProcess(BaseAdapter):
    """Hands what `requests` sends to an application in this process."""

    def __init__(self, server: Any) -> None:
        """Take whom to ask."""
        super().__init__()
        self.server = server

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Return the answer."""
        headers: Mapping[str, Any] = dict(request.headers)
        found = self.server.request(request.method, request.url, content=request.body, headers=headers)
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = found.status_code, str(request.url), request
        answer._content = found.content
        answer.raw = SimpleNamespace(retries=None)
        return answer

    def close(self) -> None:
        """Leave the application as it is."""


@pytest.fixture
def client(api_server: Any) -> AirflowClient:
    made = AirflowClient("http://testserver", "boss", "boss", pause=0.01)
    made._session.mount("http://", InProcess(api_server))
    return made


def test_a_run_is_triggered_followed_and_ended(client: AirflowClient) -> None:
    client.wait_for_dag("mine", "mine.py", time.monotonic())
    client.trigger("mine", "a+b", {"x": 1})
    assert client.get_run_state("mine", "a+b") == "queued"
    (task,) = client.get_tasks("mine", "a+b")
    assert (task["task_id"], task["map_index"], task["state"]) == ("start", -1, None)
    with pytest.raises(RestError, match="409"):
        client.trigger("mine", "a+b", {})
    client.set_run_state("mine", "a+b", "failed")
    with create_session() as session:
        failed = {"state": "failed", "end_date": rows.NOW, "start_date": rows.NOW}
        session.execute(sa.update(TaskInstance).values(**failed))
    with pytest.raises(RunFailed, match="start failed:"):
        client.wait_for_run("mine", "a+b", time.monotonic() + 60)
    client.delete_dag("mine")
    assert not client.has_dag("mine")
    with pytest.raises(NotFound):
        client.get_run_state("mine", "a+b")


def test_a_dag_file_that_cannot_be_read_is_found(client: AirflowClient) -> None:
    with create_session() as session:
        broken = {"filename": "broken/dag.py", "bundle_name": rows.BUNDLE, "stacktrace": "why", "timestamp": rows.NOW}
        session.add(ParseImportError(**broken))
    assert client.find_import_error("broken") == "why"
    assert client.find_import_error("other") is None


def test_a_password_that_is_wrong_is_refused(api_server: Any) -> None:
    client = AirflowClient("http://testserver", "boss", "wrong")
    client._session.mount("http://", InProcess(api_server))
    with pytest.raises(RestError, match=r"POST http://testserver/auth/token: 401"):
        client.has_dag("mine")
