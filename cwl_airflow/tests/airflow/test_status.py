"""How a site is, as its page and its command show it."""

from __future__ import annotations

import io
import json
import shutil
from collections import namedtuple
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import rows
from api import Api
from cwl_airflow.commands import status as command
from cwl_airflow.dags.notes import ERROR
from cwl_airflow.pages import status
from cwl_airflow.shell import host
from home import HOME, Site
from rich.console import Console
from test_api_airflow_auth import Server, server  # noqa: F401  # a fixture
from test_pages import as_user

NOW = datetime.now(timezone.utc)


@pytest.fixture
def pages(api: Api, server: Any) -> Server:  # noqa: F811
    """Return Airflow's api-server."""
    return Server(server)


def failed(run_id: str, dag_id: str = "mine", days: float = 0) -> None:
    """Add a run that failed so many days ago."""
    ended = NOW - timedelta(days=days)
    rows.add_run(run_id, dag_id, "failed", logical_date=None, run_after=ended, start_date=ended, end_date=ended)
    rows.add_task("say", "failed", 1, 2, run_id, dag_id=dag_id)
    rows.push("say", ERROR, f"say: {run_id}", run_id, dag_id=dag_id)


def parts(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["name"]: (each["state"], each["text"]) for each in found["parts"]}


@pytest.mark.usefixtures("clean_database")
def test_what_failed_lately_is_told_with_why(site: Site) -> None:
    failed("new", days=1)
    failed("older", days=2)
    failed("old", days=8)
    failed("other", dag_id="other")
    found = status.describe_site({"mine"})["failed"]
    assert [(each["run_id"], each["why"]) for each in found] == [("new", ["say: new"]), ("older", ["say: older"])]
    assert "other" in [each["run_id"] for each in status.describe_site(None)["failed"]]


@pytest.mark.usefixtures("clean_database")
def test_what_runs_and_waits_is_told(site: Site) -> None:
    rows.add_run("now", "mine", "running", start_date=NOW)
    rows.add_task("one", "running", 1, None, "now", dag_id="mine")
    rows.add_task("two", "queued", None, None, "now", dag_id="mine", queue="large")
    found = status.describe_site(None)
    assert [each["run_id"] for each in found["running"]] == ["now"]
    assert {each["name"]: (each["running"], each["waiting"]) for each in found["queues"]} == {
        "default": (1, 0),
        "large": (0, 1),
    }


@pytest.mark.usefixtures("clean_database")
def test_a_part_that_is_not_well_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    found = status.describe_site(None)
    assert found["well"] is False
    assert parts(found)["Scheduler"] == ("wrong", "never seen")
    assert parts(found)["Database"][0] == "ok"
    usage = namedtuple("usage", "total used free")  # as shutil's
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2 * 10**9, 10**9, 10**9))
    monkeypatch.setenv("AIRFLOW__CWL__MIN_FREE", "2048")
    (disk,) = (text for name, text in parts(status.describe_site(None)).items() if name.startswith("Disk of "))
    assert disk == ("wrong", "1.0 of 2.0 GB are free, and steps wait until there are 2.1")


@pytest.mark.usefixtures("clean_database")
def test_the_last_backup_and_proof_are_told(site: Site) -> None:
    (HOME / status.BACKUP).write_text(json.dumps({"time": "2026-01-02", "file": "a.age"}), encoding="utf-8")
    rows.add_run("verify-1", "mine", "success", logical_date=None, run_after=NOW - timedelta(days=1))
    try:
        assert parts(status.describe_site(None))["Last backup"] == ("ok", "2026-01-02 (a.age)")
        assert parts(status.describe_site(None))["Last proof"][1].endswith(": passed")
        failed("verify-2")
        for readable, shown in ((None, "mine"), ({"mine"}, "mine"), ({"other"}, "a workflow")):
            state, text = parts(status.describe_site(readable))["Last proof"]
            assert (state, text.partition(": ")[2]) == ("wrong", f"{shown} failed")
        rows.add_run("verify-3", "mine", "running", logical_date=None, run_after=NOW + timedelta(days=1))
        assert parts(status.describe_site(None))["Last proof"][1].endswith(": is at work")
        for text in ("[]", "null", "{"):
            (HOME / status.BACKUP).write_text(text, encoding="utf-8")
            assert "Last backup" not in parts(status.describe_site(None))
    finally:
        (HOME / status.BACKUP).unlink()


@pytest.mark.usefixtures("clean_database")
def test_only_what_the_administrator_started_is_a_proof(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "read_administrator", lambda: ("admin", "secret"))
    failed("verify-2")
    assert "Last proof" not in parts(status.describe_site(None))
    rows.add_run("verify-1", "mine", "success", logical_date=None, run_after=NOW, triggering_user_name="admin")
    assert parts(status.describe_site(None))["Last proof"][0] == "ok"


@pytest.mark.usefixtures("clean_database")
def test_queues_that_cannot_be_read_are_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__QUEUES", "/no/such/queues.yaml")
    found = status.describe_site(None)
    assert parts(found)["Queues"][0] == "wrong"
    assert found["queues"] == []


@pytest.mark.usefixtures("clean_database")
def test_a_part_that_fails_says_so_in_a_line(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    def fail(_: int) -> None:
        raise OSError("no\nroute")

    monkeypatch.setattr(status, "check_broker", fail)
    assert parts(status.describe_site(None))["Broker"] == ("wrong", "no route")


def test_each_user_sees_the_runs_of_their_dags(pages: Server) -> None:
    failed("a", "mine")
    failed("b", "other")
    seen = {
        name: {run["run_id"] for run in as_user(pages, name, "/cwl/status").json()["failed"]}
        for name in ("admin", "viewer")
    }
    assert seen == {"admin": {"a", "b"}, "viewer": {"a", "b"}}
    assert as_user(pages, "public", "/cwl/status").status_code == 403
    assert pages.ask("GET", "/cwl/status").status_code == 401


FOUND = {
    "well": False,
    "parts": [
        {"name": "Broker", "state": "wrong", "text": "no route"},
        {"name": "Database", "state": "ok", "text": "x"},
    ],
    "queues": [{"name": "default", "grants": "1 core", "workers": None, "running": 1, "waiting": 0}],
    "running": [{"dag_id": "mine", "run_id": "now", "start": None, "end": None}],
    "failed": [{"dag_id": "mine", "run_id": "new", "start": "1", "end": "2", "why": ["say: [x] no", "two"]}],
    "versions": {"Airflow": "3.3.2"},
}


def test_the_command_shows_all_of_it() -> None:
    shown = io.StringIO()
    command.show(FOUND, Console(file=shown, width=100))
    for text in ("wrong", "no route", "default", "now", "say: [x] no", "Airflow 3.3.2", "Something has to be seen to."):
        assert text in shown.getvalue()


@pytest.mark.parametrize(("units", "well", "code"), [([], True, 0), ([], False, 1), (["airflow-flower"], True, 1)])
def test_the_command_tells_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], units: list[str], well: bool, code: int
) -> None:
    found = {**FOUND, "parts": [{"name": "Broker", "state": "ok" if well else "wrong", "text": ""}]}
    monkeypatch.setattr(host, "read_administrator", lambda: ("admin", "secret"))
    monkeypatch.setattr(host.AirflowClient, "get_page", lambda *_: found)
    monkeypatch.setattr(command, "local_units", lambda: [{"name": u, "state": "wrong", "text": ""} for u in units])
    assert command.main(["--json"]) == code
    assert json.loads(capsys.readouterr().out)["well"] is (code == 0)


def test_the_command_says_when_nobody_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(host, "read_administrator", lambda: ("admin", "secret"))
    monkeypatch.setattr(host.AirflowClient, "get_page", _refuse)
    assert command.main(["--url", "http://127.0.0.1:9"]) == 2
    assert "does not say: away" in capsys.readouterr().err


def _refuse(*_: Any) -> None:
    raise command.RestError("away")


def test_units_that_are_down_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.local_units() == []
    (tmp_path / "systemctl").write_text(
        "#!/bin/sh\necho 'airflow-flower.service loaded failed failed Airflow Flower'\n"
        "echo 'airflow-worker.service loaded active running Airflow Celery worker'\n"
        "echo 'airflow-cwl-tidy.service loaded inactive dead Tidying'\n"
        "echo 'mysql.service loaded activating auto-restart MySQL'\n",
        encoding="utf-8",
    )
    (tmp_path / "systemctl").chmod(0o755)
    assert [each["name"] for each in command.local_units()] == ["airflow-flower.service", "mysql.service"]
