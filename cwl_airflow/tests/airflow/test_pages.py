"""What Airflow's pages ask for, from the whole of its api-server, by users of each role."""

from __future__ import annotations

import io
import json
import zipfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import rows
from api import Api
from cwl_airflow.dags.notes import ERROR
from cwl_airflow.dags.shown import DOCUMENT, keep_shown
from cwl_airflow.documents.plan import DISPATCHER, GATHERER, OUTPUTS_REPORT, STATISTICS
from cwl_airflow.runs.layout import RunLayout, own_name
from cwl_airflow.runs.usage import JobUsage, write_usage
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
    document = {"class": "Workflow", "id": "#main", "inputs": [], "outputs": [], "steps": []}
    of_run = {"document": document, "job": {"text": "a"}}
    report = {**values, STATISTICS: {**statistics, **of_run}}
    (made / OUTPUTS_REPORT).write_text(json.dumps(report), encoding="utf-8")
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


@pytest.mark.parametrize(
    "path", ["", "/outputs/said.txt", "/outputs/tree?as=list", "/outputs/tree?as=left-out", "/outputs/tree", "/crate"]
)
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


DOCUMENT_PAGE = "/cwl/dags/mine/document"


def name_document(site: Site, source: str | Path) -> None:
    keep_shown(site.pickle, "mine", {DOCUMENT: str(source)})


def test_a_document_is_shown_to_who_may_see_the_code(pages: Server, site: Site) -> None:
    assert as_user(pages, "viewer", DOCUMENT_PAGE).status_code == 404
    file = site.dags / "mine.cwl"
    file.write_text("cwlVersion: v1.2 # ä", encoding="utf-8")
    odd = site.dags / "a#b" / "mine.cwl"
    odd.parent.mkdir()
    odd.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    for source in (file, f"{file}#main", file.as_uri(), f"{file.as_uri()}#main", odd):
        name_document(site, source)
        shown = as_user(pages, "viewer", DOCUMENT_PAGE)
        assert (shown.status_code, shown.text) == (200, "cwlVersion: v1.2 # ä"), source
        assert shown.headers["content-type"] == "text/plain; charset=utf-8"
    assert as_user(pages, "public", DOCUMENT_PAGE).status_code == 403
    assert pages.ask("GET", DOCUMENT_PAGE).status_code == 401


@pytest.mark.parametrize(
    ("source", "status"), [("/etc/passwd", 403), ("https://example.org/a.cwl", 404), ("/nowhere/a.cwl", 403)]
)
def test_what_is_no_document_of_the_site_is_not_shown(pages: Server, site: Site, source: str, status: int) -> None:
    name_document(site, source)
    assert as_user(pages, "admin", DOCUMENT_PAGE).status_code == status


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


def test_what_an_archive_does_not_have_is_said_before(pages: Server, folder: Path) -> None:
    (folder / "tree/link").symlink_to("/etc/passwd")
    found = as_user(pages, "viewer", f"{PAGE}/outputs/tree?as=left-out").json()
    assert found == [{"path": "link", "why": "it is a link"}]


def test_a_run_is_given_as_a_crate(pages: Server, folder: Path) -> None:
    assert as_user(pages, "viewer", PAGE).json()["no_crate"] == ""
    answer = as_user(pages, "viewer", f"{PAGE}/crate")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''mine%20" + quote(f"{RUN}.crate.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        metadata = json.loads(archive.read("ro-crate-metadata.json"))
    (person,) = [each for each in metadata["@graph"] if each["@type"] == "Person"]
    assert person["name"] == "this host"
    assert "cwl_airflow_caller" not in answer.text


@pytest.mark.parametrize("state", ["failed", "running"])
def test_of_a_run_that_did_not_succeed_there_is_no_crate(pages: Server, folder: Path, state: str) -> None:
    rows.change_run(RUN, state=state)
    answer = as_user(pages, "viewer", f"{PAGE}/crate")
    assert answer.status_code == 409
    assert answer.json()["detail"] == "Only of a run that succeeded there is an RO-Crate."


def test_names_that_are_no_text_are_listed(pages: Server, folder: Path) -> None:
    (folder / "tree/a").rename(folder / "tree/\udcff")
    (found,) = as_user(pages, "viewer", f"{PAGE}/outputs/tree?as=list").json()
    assert found["name"] == "\udcff"
    assert as_user(pages, "viewer", f"{PAGE}/outputs/tree").content.startswith(b"PK")


@pytest.fixture
def layout(pages: Server, site: Site) -> RunLayout:
    """Return where a run has its data that fails: a step is done, one has failed, and one that is scattered."""
    made = RunLayout(site.tmp / "mine" / own_name(RUN))
    done, bad = JobUsage("sort a", 0, 5, "debian:13", "debian@sha256:1"), JobUsage("align b", 3, 7)
    bad.note_failure("exit status 3", ["reading", "no index"])
    write_usage([done], made.used("sort") / "step-sort.json")
    write_usage([bad], made.used("align") / "step-align.json")
    write_usage([done, done], made.used("count") / "0.json")
    write_usage([done, bad], made.used("count") / "2.json")
    made.step("sort").parent.mkdir()
    made.step("sort").write_text('{"status": "success", "outputs": {}, "disk": 9, "seconds": 1.5}', encoding="utf-8")
    add_failed_run(str(made.job))
    return made


def add_failed_run(report: Any) -> None:
    """Add the rows of a run that failed.

    :param report: what its dispatcher returned.
    """
    rows.add_run(RUN, "mine", "failed")
    of_dag = {"run_id": RUN, "dag_id": "mine"}
    rows.add_task(DISPATCHER, "success", 0, 1, **of_dag, operator="CWLJobDispatcher")
    rows.add_task("sort", "success", 1, 2, **of_dag)
    rows.add_task("align", "failed", 1, 3, **of_dag)
    rows.add_task("count.scatter", "success", 1, 2, **of_dag, operator="CWLScatterOperator")
    for part, state in enumerate(("success", "failed")):
        rows.add_task("count.jobs", state, 2, 4, **of_dag, map_index=part, operator="CWLScatterJobsOperator")
    rows.add_task("count", "upstream_failed", **of_dag)
    rows.add_task(GATHERER, "upstream_failed", **of_dag, operator="CWLJobGatherer")
    rows.push(DISPATCHER, "return_value", report, RUN, dag_id="mine")
    rows.push("count.scatter", "return_value", [[0, 2], [2, 4]], RUN, dag_id="mine")
    rows.push("align", ERROR, "align: 'align b' exit status 3: no index", RUN, dag_id="mine")


def test_the_page_of_a_failed_run_says_which_step_which_command_and_why(pages: Server, layout: RunLayout) -> None:
    found = as_user(pages, "viewer", PAGE).json()
    assert found["missing"] == "The run has no outputs."
    align, count = found["failed"]
    assert (align["task"], align["part"], align["why"]) == ("align", None, "align: 'align b' exit status 3: no index")
    assert (align["command"], align["exit_code"], align["lines"]) == ("align b", 3, ["reading", "no index"])
    assert (count["task"], count["part"], count["command"]) == ("count.jobs", 1, "align b")
    steps = {(step["task"], step["part"]): step for step in found["tasks"]}
    done = steps["sort", None]
    assert (done["disk"], done["seconds"], done["memory"], done["images"]) == (
        9,
        1.5,
        5,
        {"debian:13": "debian@sha256:1"},
    )
    assert steps["align", None]["exit_codes"] == [3]
    assert (steps["count", None]["jobs"], steps["count", None]["exit_codes"]) == (4, [0, 3])
    assert [steps["count.jobs", part]["exit_codes"] for part in (0, 1)] == [[0], [0, 3]]


def test_while_a_step_is_at_work_its_last_try_does_not_count(pages: Server, layout: RunLayout) -> None:
    rows.change_run(RUN, state="running")
    rows.change_task("align", RUN, state="running")
    found = as_user(pages, "viewer", PAGE).json()
    assert [failure["task"] for failure in found["failed"]] == ["count.jobs"]
    steps = {step["task"]: step for step in found["tasks"]}
    assert "exit_codes" not in steps["align"]
    assert steps["sort"]["exit_codes"] == [0]


def test_what_steps_took_is_for_who_may_see_the_run(pages: Server, layout: RunLayout) -> None:
    assert as_user(pages, "narrow", PAGE).json()["failed"]
    assert as_user(pages, "public", PAGE).status_code == 403


def test_data_that_was_removed_is_said(pages: Server, layout: RunLayout) -> None:
    layout.folder.rename(layout.folder.with_name("gone"))
    found = as_user(pages, "viewer", PAGE).json()
    assert found["unknown"].startswith("The data of this run was removed")
    assert found["failed"][0]["why"] == "align: 'align b' exit status 3: no index"


@pytest.mark.parametrize("place", ["mine/other", "other/{own}", "../elsewhere/mine/{own}", "../../mine/{own}"])
def test_data_that_is_not_the_runs_own_is_not_shown(pages: Server, layout: RunLayout, site: Site, place: str) -> None:
    moved = site.tmp / place.format(own=own_name(RUN))
    moved.parent.mkdir(parents=True, exist_ok=True)
    layout.folder.rename(moved)
    rows.remove_rows(RUN)
    add_failed_run(str(moved / "job.json"))
    found = as_user(pages, "viewer", PAGE).json()
    assert found["unknown"]
    assert "command" not in found["failed"][0]


@pytest.mark.parametrize("value", [None, 5, "x", "/etc/passwd", "a\0/job.json"])
def test_a_run_whose_dispatcher_says_something_else_is_looked_for_where_runs_are(
    pages: Server, layout: RunLayout, value: Any
) -> None:
    rows.remove_rows(RUN)
    add_failed_run(value)
    found = as_user(pages, "viewer", PAGE).json()
    assert ("unknown" in found) is (value == "a\0/job.json")


@pytest.mark.parametrize("name", ["used", "used/align", "used/align/step-align.json", ""])
def test_links_in_the_data_are_not_followed(pages: Server, layout: RunLayout, tmp_path: Path, name: str) -> None:
    (layout.folder / name).rename(tmp_path / "real")
    (layout.folder / name).symlink_to(tmp_path / "real")
    found = as_user(pages, "viewer", PAGE).json()
    assert "command" not in found["failed"][0]


@pytest.mark.parametrize("text", ["", "[", "{}", "[5]", '[{"command": 5}]', pytest.param(9999 * "[", id="deep")])
def test_what_a_task_wrote_of_its_own_breaks_no_page(pages: Server, layout: RunLayout, text: str) -> None:
    (layout.used("align") / "step-align.json").write_text(text, encoding="utf-8")
    layout.step("align").write_text(text, encoding="utf-8")
    found = as_user(pages, "viewer", PAGE).json()
    assert "command" not in found["failed"][0]
