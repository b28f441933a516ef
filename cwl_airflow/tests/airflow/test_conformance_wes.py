"""The client of the Workflow Execution Service, and the requests of a suite, at the real CWL API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from api import Api
from cwl_airflow.conformance.request import make_request
from cwl_airflow.conformance.suite import SuiteTest, read_suite
from cwl_airflow.conformance.wes import PATH, RunRefused, WesClient
from cwl_airflow.rest import RestError
from home import Site
from requests.adapters import BaseAdapter

PROJECT = Path(__file__).parents[3]


class InProcess(BaseAdapter):
    """Gives requests to an application of this process."""

    def __init__(self, api: Api) -> None:
        """Note which."""
        super().__init__()
        self._api = api

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Answer a request."""
        found = self._api.ask(
            str(request.method), request.path_url, base="", content=request.body, headers=dict(request.headers)
        )
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = found.status_code, request, str(request.url)
        answer._content = found.content
        return answer

    def close(self) -> None:
        """Close nothing."""


def client(api: Api, user: str, password: str | None = None) -> WesClient:
    made = WesClient("http://localhost:8081/", user, password or user)
    made._session.mount("http://", InProcess(api))
    return made


def test_a_login_is_tried_without_a_run(api: Api) -> None:
    client(api, "admin").check_login()
    with pytest.raises(RestError, match="403 The roles of 'viewer' in Airflow do not allow this"):
        client(api, "viewer").check_login()
    with pytest.raises(RestError, match="401 User or password is wrong"):
        client(api, "admin", "x").check_login()
    assert api.ask("GET", "/wes/runs", "admin").json() == {"runs": []}


@pytest.mark.full
@pytest.mark.parametrize(
    "name",
    ["tool-echo", "file-name-hash", "file-name-colon", "file-name-percent", "directory-input", "graph-main-by-name"],
)
def test_a_test_of_the_projects_suite_is_taken(api: Api, site: Site, name: str) -> None:
    (test,) = (test for test in read_suite(PROJECT / "tests/conformance/suite.yaml") if test.name == name)
    request = make_request(test)
    run_id = client(api, "admin").submit(request)
    folder = site.tmp / "@wes" / run_id
    for attached, path in request.files.items():
        assert (folder / attached).read_bytes() == path.read_bytes()
    job = api.ask("GET", f"/wes/runs/{run_id}", "admin").json()["request"]["workflow_params"]
    for value in job.values():
        if isinstance(value, dict):
            assert value["location"].startswith(f"{folder.as_uri()}/suite/")
    assert client(api, "admin").get_outputs(run_id) == {}


def test_a_document_that_is_refused(api: Api, site: Site, tmp_path: Path) -> None:
    document = tmp_path / "a.cwl"
    document.write_text("no: document", encoding="utf-8")
    with pytest.raises(RunRefused, match=rf"POST .*{PATH}/runs: 400 The document cannot be read: "):
        client(api, "admin").submit(make_request(SuiteTest(1, "a", "a", document, "", None, {}, True)))
    with pytest.raises(RestError, match="404 "):
        client(api, "admin").get_outputs("none")
