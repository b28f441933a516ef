"""What the CWL API says of itself, and whether it keeps to it."""

from __future__ import annotations

import re
from contextlib import suppress
from html.parser import HTMLParser
from typing import Any

import pytest
import schemathesis
from api import BASE, Api, left
from home import HOME, Site
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks as openapi_checks

DOCUMENT = {
    ("/dags", "get"),
    ("/dags", "post"),
    ("/dag_runs", "get"),
    ("/dag_runs", "post"),
    ("/dags/dag_runs", "post"),
    ("/dags/{dag_id}/dag_runs", "post"),
    ("/wes/service-info", "get"),
    ("/wes/runs", "get"),
    ("/wes/runs", "post"),
    ("/wes/runs/{run_id}", "get"),
    ("/wes/runs/{run_id}/cancel", "post"),
    ("/wes/runs/{run_id}/status", "get"),
}


@pytest.fixture
def document(api: Api) -> Any:
    """Return the OpenAPI document."""
    return api.ask("GET", "/openapi.json", "viewer").json()


def test_the_document_has_each_operation(api: Api, document: Any) -> None:
    assert {(path, method) for path, operations in document["paths"].items() for method in operations} == DOCUMENT
    assert api.ask("GET", "/swagger.json", "viewer").json() == document
    assert document["openapi"].startswith("3.1.")
    assert document["servers"] == [{"url": "../experimental"}]
    assert {scheme["scheme"] for scheme in document["components"]["securitySchemes"].values()} == {"basic", "bearer"}


def test_each_operation_says_who_may_and_what_is_refused(document: Any) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            open_to_all = {} in operation["security"]
            assert operation["security"][:2] == [{"user": []}, {"token": []}]
            assert open_to_all == (operation["operationId"] == "post_dag_runs_legacy")
            assert operation["summary"].endswith(".")
            assert {"200", "400", "401", "403", "413", "415", "500", "503"} <= set(operation["responses"])
            assert "422" not in operation["responses"]
            for status, answer in operation["responses"].items():
                kind = "application/json" if status == "200" else "application/problem+json"
                assert answer["content"][kind]["schema"]["$ref"].startswith("#/components/schemas/")
            for parameter in operation.get("parameters", ()):
                assert "anyOf" not in parameter["schema"]


def test_what_the_document_refers_to_is_in_it(document: Any) -> None:
    text = repr(document)
    names = set(re.findall("#/components/schemas/([A-Za-z_]+)", text))
    assert names == set(document["components"]["schemas"])


class Links(HTMLParser):
    """The addresses that a page loads."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Note those of an element."""
        self.found += [value for name, value in attrs if name in ("src", "href")]


def test_the_page_loads_nothing_from_elsewhere(api: Api) -> None:
    answer = api.ask("GET", "/ui/", "viewer")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
    links = Links()
    links.feed(answer.text)
    assert len(links.found) == 3
    for link in links.found:
        assert "/" not in link
        assert api.ask("GET", f"/ui/{link}", "viewer").status_code == 200
    assert "//" not in answer.text.replace("// ", "")
    assert api.ask("GET", "/ui/..%2Fpages.py", "viewer").status_code == 404
    assert api.ask("GET", "/ui/VERSION", "viewer").status_code == 400


def test_who_leaves_out_the_slash_finds_the_page_behind_any_proxy(api: Api) -> None:
    answer = api.ask("GET", "/ui", "viewer")
    assert (answer.status_code, answer.headers["Location"]) == (308, "ui/")


def test_the_root_of_the_service_leads_to_the_page_behind_any_proxy(api: Api) -> None:
    for user, status in ((None, 401), ("public", 403), ("viewer", 307)):
        answer = api.ask("GET", "/", user, base="")
        assert answer.status_code == status
    assert answer.headers["Location"] == "api/experimental/ui/"


#: What a document, a name or a time must be like cannot be said in it, so that what it allows may be refused.
CHECKS = [schemathesis.checks.not_a_server_error] + [
    getattr(openapi_checks, f"{name}_conformance")
    for name in ("status_code", "content_type", "response_headers", "response_schema")
]
#: Each operation is asked for each user and mode, so that a few of the examples of other tests do.
SHARE = 12


@pytest.mark.parametrize("user", ["admin", "user", "viewer"])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_the_api_keeps_its_specification(api: Api, site: Site, document: Any, user: str, mode: Any) -> None:
    before = left(HOME)[0]
    schema = schemathesis.openapi.from_dict(document | {"servers": [{"url": f"http://localhost:8081{BASE}"}]})
    schema.app = api.app
    examples = settings.default.max_examples // SHARE + 1
    some = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    asked = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        def check(case: Any) -> None:
            nonlocal asked
            asked += 1
            response = case.call(auth=(user, user), timeout=120)  # a busy machine is no reason to fail
            assert response.status_code != 404 or "at this address" not in response.json()["detail"]
            case.validate_response(response, checks=CHECKS)

        with suppress(Unsatisfiable):  # nothing that this operation takes could be wrong
            some(given(case=operation.as_strategy(mode))(check))()
    assert asked >= len(DOCUMENT) * examples // 2  # an operation may take nothing that could be wrong
    # Not what is kept of attachments of runs that it started.
    assert [path for path in left(HOME)[0] if path.parent.name != "@wes" and path.name != "@wes"] == before
