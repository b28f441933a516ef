"""What Airflow's pages ask for, from the whole of its api-server, by users of each role."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
import pytest
import rows
from api import Api
from cwl_airflow.documents.plan import DISPATCHER, GATHERER, OUTPUTS_REPORT, STATISTICS
from home import Site
from test_api_airflow_auth import Server, server  # noqa: F401  # a fixture

RUN = "manual__2026-01-01T00:00:00+00:00"
PAGE = f"/cwl/runs/mine/{RUN}"


@pytest.fixture
def pages(api: Api, server: Any) -> Server:  # noqa: F811
    """Return Airflow's api-server."""
    return Server(server)


def as_user(pages: Server, name: str, path: str, method: str = "GET", **more: Any) -> httpx.Response:
    """Return the answer that a user of Airflow gets."""
    login = pages.ask("POST", "/auth/token", json={"username": name, "password": name})
    headers = {"Authorization": f"Bearer {login.json()['access_token']}", **more.pop("headers", {})}
    return pages.ask(method, path, headers=headers, **more)


@pytest.fixture
def folder(pages: Server, site: Site) -> Path:
    """Return the folder of the outputs of a run."""
    made = site.outputs / "mine" / "first"
    (made / "tree").mkdir(parents=True)
    for name, text in {"said.txt": "hello ä", "report.html": "<script>1</script>", "tree/a": "", "b": "\0"}.items():
        (made / name).write_text(text, encoding="utf-8")
    files = {name: {"class": "File", "location": (made / name).as_uri()} for name in ("said.txt", "report.html", "b")}
    values = {**files, "tree": {"class": "Directory", "location": (made / "tree").as_uri()}}
    statistics = {
        "steps": {"say": {"status": "success", "seconds": 2.5, "memory": 10, "images": {"a:1": "a@sha256:1"}}}
    }
    (made / OUTPUTS_REPORT).write_text(json.dumps({**values, STATISTICS: statistics}), encoding="utf-8")
    conf = {"job": {"text": "a"}, "cwl_airflow_caller": {"name": "boss"}}
    rows.add_run(RUN, "mine", "success", conf=conf)
    for number, task in enumerate((DISPATCHER, "say", GATHERER)):
        rows.add_task(task, "success", number, number + 1, RUN, dag_id="mine", hostname="host", duration=1)
    rows.push(GATHERER, "return_value", str(made / OUTPUTS_REPORT), RUN, dag_id="mine")
    return made


def test_airflow_loads_the_parts_of_its_pages(pages: Server) -> None:
    (found,) = entry_points(group="airflow.plugins", name="cwl_airflow")
    script = pages.ask("GET", "/cwl/cwl.js")
    assert script.headers["content-type"].startswith("text/javascript")
    for each in found.load().react_apps:
        assert pages.ask("GET", f"/{each['bundle_url']}").status_code == 200
        assert f'globalThis["{each["name"]}"] = ' in script.text


def test_the_page_of_a_run_has_outputs_steps_and_job(pages: Server, folder: Path) -> None:
    found = as_user(pages, "viewer", PAGE).json()
    assert found["state"] == "success"
    assert found["conf"] == {"job": {"text": "a"}}
    assert [output["files"][0]["path"] for output in found["outputs"]] == ["said.txt", "report.html", "b", "tree"]
    (step,) = found["tasks"]
    assert (step["task"], step["host"], step["seconds"], step["memory"]) == ("say", "host", 2.5, 10)


@pytest.mark.parametrize("path", ["", "/outputs/said.txt", "/outputs/tree?as=list", "/outputs/tree"])
def test_only_who_may_see_the_runs_of_a_dag_sees_their_outputs(pages: Server, folder: Path, path: str) -> None:
    answers = {
        name: as_user(pages, name, PAGE + path).status_code for name in ("admin", "op", "user", "viewer", "narrow")
    }
    assert set(answers.values()) == {200}, answers
    assert as_user(pages, "public", PAGE + path).status_code == 403
    assert pages.ask("GET", PAGE + path).status_code == 401
    other = PAGE.replace("mine", "other") + path
    assert as_user(pages, "narrow", other).status_code == 403
    assert as_user(pages, "admin", other).status_code == 404


def test_a_run_of_something_else_or_without_outputs_says_so(pages: Server) -> None:
    rows.add_run(RUN, "mine", "running")
    found = as_user(pages, "viewer", PAGE).json()
    assert (found["cwl"], found["missing"], found["tasks"]) == (False, "The run has no outputs.", [])
    rows.add_task(GATHERER, None, None, None, RUN, dag_id="mine")
    assert as_user(pages, "viewer", PAGE).json()["cwl"] is True
    assert as_user(pages, "viewer", f"{PAGE}x").status_code == 404
    assert as_user(pages, "viewer", f"{PAGE}/outputs/said.txt").status_code == 404


@pytest.mark.parametrize(
    "value", ["/etc/passwd", "/etc/workflow_report.json", "x", 5, {"a": 1}, "a\0/workflow_report.json"]
)
def test_what_somebody_else_pushed_as_a_report_is_not_read(pages: Server, folder: Path, value: Any) -> None:
    rows.remove_rows(RUN)
    rows.add_run(RUN, "mine", "success")
    rows.add_task(GATHERER, "success", 1, 2, RUN, dag_id="mine")
    rows.push(GATHERER, "return_value", value, RUN, dag_id="mine")
    assert "missing" in as_user(pages, "viewer", PAGE).json()


def test_outputs_of_another_dag_are_none_of_this_one(pages: Server, folder: Path, site: Site) -> None:
    folder.parent.rename(site.outputs / "other")
    rows.remove_rows(RUN)
    rows.add_run(RUN, "mine", "success")
    rows.add_task(GATHERER, "success", 1, 2, RUN, dag_id="mine")
    rows.push(GATHERER, "return_value", str(site.outputs / "other/first" / OUTPUTS_REPORT), RUN, dag_id="mine")
    found = as_user(pages, "viewer", PAGE).json()
    assert "may not be written" in found["missing"]


def test_a_file_is_downloaded_in_parts(pages: Server, folder: Path) -> None:
    whole = as_user(pages, "viewer", f"{PAGE}/outputs/said.txt")
    assert whole.content.decode() == "hello ä"
    assert whole.headers["content-disposition"] == 'attachment; filename="said.txt"'
    assert whole.headers["content-type"] == "application/octet-stream"
    assert "sandbox" in whole.headers["content-security-policy"]
    part = as_user(pages, "viewer", f"{PAGE}/outputs/said.txt", headers={"Range": "bytes=0-4"})
    assert (part.status_code, part.text, part.headers["content-range"]) == (206, "hello", "bytes 0-4/8")


def test_a_page_that_is_an_output_reaches_nothing_of_the_site(pages: Server, folder: Path) -> None:
    shown = as_user(pages, "viewer", f"{PAGE}/outputs/report.html?as=view")
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'; ")
    assert "allow-same-origin" not in policy
    assert shown.headers["x-content-type-options"] == "nosniff"


def test_text_is_shown_and_other_data_is_not(pages: Server, folder: Path) -> None:
    shown = as_user(pages, "viewer", f"{PAGE}/outputs/said.txt?as=view")
    assert (shown.text, shown.headers["content-type"]) == ("hello ä", "text/plain; charset=utf-8")
    other = as_user(pages, "viewer", f"{PAGE}/outputs/b?as=view")
    assert (other.status_code, other.json()["detail"]) == (415, "b is no text: download it.")


def test_what_is_in_a_folder_is_listed_and_downloaded(pages: Server, folder: Path) -> None:
    (found,) = as_user(pages, "viewer", f"{PAGE}/outputs/tree?as=list").json()
    assert (found["path"], found["show"]) == ("tree/a", "text")
    archive = as_user(pages, "viewer", f"{PAGE}/outputs/tree")
    assert archive.headers["content-type"] == "application/zip"
    assert archive.content.startswith(b"PK")


def test_names_that_are_no_text_are_listed(pages: Server, folder: Path) -> None:
    (folder / "tree/a").rename(folder / "tree/\udcff")
    (found,) = as_user(pages, "viewer", f"{PAGE}/outputs/tree?as=list").json()
    assert found["name"] == "\udcff"
    assert as_user(pages, "viewer", f"{PAGE}/outputs/tree").content.startswith(b"PK")
