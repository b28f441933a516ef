"""What a person sees in a browser of CWL's parts of Airflow's pages: Chromium, with the whole of an Airflow behind it.

With ``SCREENSHOTS=<folder>`` it takes the pictures of the docs.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from installed import DEADLINE, Installation
from playwright.sync_api import Browser, Page, expect, sync_playwright

pytestmark = pytest.mark.installation
expect.set_options(timeout=DEADLINE * 1000)
#: What Airflow's own pages say, with and without ours: before the login, and of its clock.
OF_AIRFLOW = ("401 (Unauthorized)", "reading 'tz'")
NO_ERRORS: list[str] = []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return the browser of the system."""
    program = shutil.which("chromium")
    assert program, "chromium is not installed: make package"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, site: Installation) -> Iterator[Page]:
    """Return a page of somebody who has logged in, of a theme; it may say no errors, and ask nobody else."""
    theme = getattr(request, "param", "light")
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    context.set_default_timeout(DEADLINE * 1000)
    # A page that is an output has no storage.
    context.add_init_script(f"try {{ localStorage.setItem('theme', '{theme}') }} catch {{}}")
    opened = context.new_page()
    opened.theme = theme  # type: ignore[attr-defined]
    errors: list[str] = []
    hosts: set[str] = set()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda sent: hosts.add(urlsplit(sent.url).hostname or ""))
    opened.goto(f"{site.url}/")
    opened.fill("input[name=username]", "someone")
    opened.fill("input[name=password]", "secret")
    opened.press("input[name=password]", "Enter")
    opened.wait_for_url(f"{site.url}/")
    yield opened
    context.close()
    assert [error for error in errors if not any(known in error for known in OF_AIRFLOW)] == NO_ERRORS
    assert hosts - {"", "127.0.0.1"} == set()


class Client:
    """Airflow's REST API, as the person who is logged in asks it."""

    def __init__(self, page: Page, site: Installation) -> None:
        """Note whose."""
        self._page, self._url = page, f"{site.url}/api/v2"

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Return what it answers; none if there is nothing."""
        answer = self._page.request.fetch(f"{self._url}/{path}", method=method, **more)
        assert answer.ok or answer.status == 404, answer.text()
        return answer.json() if answer.ok else None

    def run(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Run a DAG, and return the name of the run when it has ended."""
        body = {"logical_date": None, "conf": conf}
        made = wait_for(lambda: self.ask("POST", f"dags/{dag_id}/dagRuns", data=body))
        return self.ended(dag_id, str(made["dag_run_id"]))

    def ended(self, dag_id: str, run_id: str) -> str:
        """Wait until a run has ended."""
        wait_for(lambda: self.ask("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"] in ("success", "failed"))
        return run_id


def wait_for(found: Any) -> Any:
    """Ask until something is found."""
    deadline = time.monotonic() + DEADLINE
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return value


def run_folder(run: str) -> str:
    """Return what the folder of a run's outputs is called."""
    return re.sub(r"[:+/]", "_", run)


def picture(page: Page, name: str) -> None:
    """Take a picture for the docs."""
    folder = os.environ.get("SCREENSHOTS")
    if folder and page.theme == "light":  # type: ignore[attr-defined]
        page.wait_for_timeout(1000)  # what moves has come to rest
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_form_starts_a_run_whose_results_are_looked_at(page: Page, site: Installation) -> None:
    client = Client(page, site)
    wait_for(lambda: client.ask("GET", "dags/report"))
    page.goto(f"{site.url}/dags/report")
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_label("title (required)").or_(page.locator("[name=element_title]")).first.fill("Quality of Ä")
    picture(page, "trigger-form")
    page.get_by_role("dialog").get_by_role("button", name="Trigger").click()
    runs = wait_for(lambda: client.ask("GET", "dags/report/dagRuns?order_by=-run_after")["dag_runs"])
    run = client.ended("report", runs[0]["dag_run_id"])
    page.goto(f"{site.url}/dags/report/runs/{run}/plugin/cwl-results")
    expect(page.get_by_text("On the host:")).to_be_visible()
    expect(page.get_by_text("42", exact=True)).to_be_visible()

    line = page.locator(".cwl-results")
    # By the keyboard: a click at what an iframe has just moved goes to the iframe.
    for name in ("picture.png", "table.tsv", "report.html"):
        line.get_by_role("button", name=f"View {name}").press("Enter")
    expect(line.get_by_role("cell", name="s4")).to_be_visible()
    shown = line.locator("img[alt='picture.png']")
    wait_for(lambda: shown.evaluate("image => image.naturalWidth") == 200)
    frame = page.frame_locator("iframe[title='report.html']")
    expect(frame.get_by_role("heading")).to_have_text("Quality of Ä")
    expect(frame.locator("#said")).to_have_text("no cookies")

    (link,) = site.home.glob(f"cwl/outputs/report/{run_folder(run)}/tree")
    (link / "link").symlink_to("/etc/passwd")
    line.get_by_role("button", name="Open tree").press("Enter")
    expect(line.get_by_text("ä note.txt")).to_be_visible()
    expect(line.locator(".cwl-left-out")).to_have_text("Not in the ZIP: link (it is a link).")
    with page.expect_download() as download:
        line.get_by_role("link", name="Download as ZIP").first.press("Enter")
    assert download.value.suggested_filename == "tree.zip"
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert sorted(archive.namelist()) == ["LEFT-OUT.txt", "sub/data.bin", "ä note.txt"]
    (link / "link").unlink()
    with page.expect_download() as download:
        line.get_by_role("link", name="Download as RO-Crate").press("Enter")
    assert download.value.suggested_filename == f"report {run}.crate.zip".replace(":", "_")
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert {"ro-crate-metadata.json", "packed.cwl", "outputs/tree/sub/data.bin"} <= {*archive.namelist()}
    line.get_by_role("button", name="Command report").press("Enter")
    expect(line.get_by_text("import os, struct, sys, zlib")).to_be_visible()
    line.get_by_role("button", name="Command report").press("Enter")
    for name in ("picture.png", "report.html"):
        line.get_by_role("button", name=f"Hide {name}").press("Enter")
        expect(line.get_by_role("button", name=f"View {name}")).to_be_visible()
    picture(page, "results")

    line.get_by_role("button", name="Run again with the same job").press("Enter")
    # Its name has the time in it, some signs of which are written otherwise in a URL.
    expect(page).not_to_have_url(re.compile(run.partition(".")[2][:6]))
    again = client.ask("GET", "dags/report/dagRuns?order_by=-run_after")["dag_runs"][0]
    assert again["dag_run_id"] != run
    assert again["conf"]["title"] == "Quality of Ä"


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_a_dag_has_a_picture(page: Page, site: Installation) -> None:
    wait_for(lambda: Client(page, site).ask("GET", "dags/two-step"))
    page.goto(f"{site.url}/dags/two-step/plugin/cwl-workflow")
    image = page.locator(".cwl-workflow img")
    expect(image).to_be_visible()
    wait_for(lambda: image.evaluate("image => image.naturalWidth") > 50)
    picture(page, "workflow")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="The document").click()
    expect(opened.value.locator("body")).to_contain_text("class: Workflow")


def test_what_failed_is_seen_with_why(page: Page, site: Installation) -> None:
    run = Client(page, site).run("align", {})
    page.goto(f"{site.url}/dags/align/runs/{run}")
    expect(page.get_by_text("[E::bwa_idx_load] fail to locate the index files").first).to_be_visible()
    picture(page, "failed")
    page.goto(f"{site.url}/dags/align/runs/{run}/plugin/cwl-results")
    failure = page.locator(".cwl-failure")
    expect(failure.get_by_text("exit status 1", exact=True)).to_be_visible()
    expect(failure.get_by_text("[E::bwa_idx_load] fail to locate the index files", exact=True)).to_be_visible()
    expect(failure.get_by_text("sh -c 'echo", exact=False).last).to_be_visible()
    row = page.locator(".cwl-results tr", has_text="align")
    expect(row.get_by_role("cell", name="1", exact=True).first).to_be_visible()
    picture(page, "failed-results")
    shutil.rmtree(site.home / "cwl/tmp/align")
    page.reload()
    expect(page.get_by_text("The data of this run was removed")).to_be_visible()
    page.goto(f"{site.url}/plugin/cwl")
    site_page = page.locator(".cwl-site")
    expect(site_page.get_by_text("[E::bwa_idx_load] fail to locate the index files").first).to_be_visible()
    expect(site_page.get_by_text("Scheduler")).to_be_visible()
    picture(page, "site")
    site_page.get_by_role("link", name=run).click()
    page.wait_for_url(f"{site.url}/dags/align/runs/**")
