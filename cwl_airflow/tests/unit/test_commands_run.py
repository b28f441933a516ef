"""The command that runs a document: which questions it asks Airflow's API, what it prints, what it leaves behind."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_api import AirflowApi, Answer, log_answer, serve, tasks_answer
from cwl_airflow.commands import run as command
from cwl_airflow.documents.plan import OUTPUTS_REPORT, STATISTICS
from cwl_airflow.gate import Places
from cwl_airflow.shell import host
from cwl_airflow.shell import run as shell_run
from cwl_airflow.shell.host import Host
from rich.console import Console

from cwl_airflow import rest

DAG_ID = f"cwl-run-{uuid.UUID(int=1)}"
RUN = f"/dags/{DAG_ID}/dagRuns/run"


class Site:
    """A host with its folders and the stand-in for its Airflow."""

    def __init__(self, folder: Path, api: AirflowApi) -> None:
        """Write its configuration; a run succeeds."""
        self.api = api
        self.folder = folder
        self.dags = folder / "dags"
        self.outputs = folder / "cwl/outputs"
        for name in ("tmp", "inputs", "outputs", "pickle"):
            (folder / "cwl" / name).mkdir(parents=True)
        self.dags.mkdir()
        self.document = self.dags / "tool.cwl"
        self.document.write_text("cwlVersion: v1.2", encoding="utf-8")
        options = {"core": {"dags_folder": self.dags}}
        options["cwl"] = {f"{name}_folder": folder / "cwl" / name for name in ("tmp", "inputs", "outputs", "pickle")}
        sections = [
            "\n".join([f"[{section}]", *(f"{name} = {value}" for name, value in values.items())])
            for section, values in options.items()
        ]
        (folder / "airflow.cfg").write_text("\n".join(sections), encoding="utf-8")
        (folder / "administrator.json").write_text('{"user": "admin", "password": "%41:b"}', encoding="utf-8")
        self.dag_files: list[str] = []
        api.answer(f"GET /dags/{DAG_ID}", (404, {}), self.see_dag)
        api.answer("GET /importErrors", (200, {"import_errors": []}))
        api.answer(f"POST /dags/{DAG_ID}/dagRuns", (200, {}))
        api.answer(f"GET {RUN}", (200, {"state": "running"}), self.succeed)
        api.answer(f"PATCH {RUN}", (200, {}))
        api.answer(f"DELETE /dags/{DAG_ID}", (204, ""))

    def see_dag(self) -> Answer:
        """Read the DAG files, as Airflow does."""
        self.dag_files = [file.read_text(encoding="utf-8") for file in self.dags.glob("cwl-runner/*.py")]
        return 200, {}

    def succeed(self) -> Answer:
        """Write the outputs, as the last task does."""
        folder = self.outputs / DAG_ID / "run"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "out").write_text("said", encoding="utf-8")
        report = {"out": {"path": str(folder / "out"), "location": (folder / "out").as_uri()}, STATISTICS: {}}
        (folder / OUTPUTS_REPORT).write_text(json.dumps(report), encoding="utf-8")
        return 200, {"state": "success"}

    def fail(self, log: str) -> None:
        """Have a task fail, with a log."""
        tasks = [{"task_id": "a", "state": "failed", "try_number": 1, "map_index": -1}]
        self.api.answer(f"GET {RUN}", (200, {"state": "failed"}))
        self.api.answer(f"GET {RUN}/taskInstances", tasks_answer(tasks))
        self.api.answer(f"GET {RUN}/taskInstances/a/logs/1", log_answer(log))

    def run(self, *arguments: str) -> int:
        """Run the document."""
        return command.main(["--url", self.api.url, "--rm", *arguments])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_file: None) -> Iterator[Site]:
    monkeypatch.setattr(rest, "PAUSE", 0.01)
    monkeypatch.setattr(shell_run.uuid, "uuid4", lambda: uuid.UUID(int=1))
    monkeypatch.setenv("AIRFLOW_CONFIG", str(tmp_path / "airflow.cfg"))
    monkeypatch.delenv("AIRFLOW_PASSWORD", raising=False)
    handler = signal.getsignal(signal.SIGTERM)
    with serve() as api:
        yield Site(tmp_path, api)
    signal.signal(signal.SIGTERM, handler)


def test_outputs_are_printed_and_stay_on_the_host(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    job = site.folder / "cwl/inputs/job.yml"
    job.write_text("{}", encoding="utf-8")
    assert site.run(str(site.document), str(job)) == 0
    file = site.outputs / DAG_ID / "run/out"
    assert json.loads(capsys.readouterr().out) == {"out": {"path": str(file), "location": file.as_uri()}}
    assert site.dag_files == [shell_run.DAG_FILE.format(dag_id=DAG_ID, workflow=str(site.document), user="admin")]
    assert list(site.dags.glob("cwl-runner/*.py")) == []
    body = {"dag_run_id": "run", "logical_date": None, "conf": {"job": str(job)}}
    assert (f"POST /dags/{DAG_ID}/dagRuns", body) in site.api.requests
    assert site.api.questions()[-1] == f"DELETE /dags/{DAG_ID}"
    assert f"PATCH {RUN}" not in site.api.questions()


def test_outputs_are_moved_where_they_are_wanted(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outdir = tmp_path / 'my "results'
    assert site.run("--outdir", str(outdir), str(site.document)) == 0
    file = outdir / "out"
    assert json.loads(capsys.readouterr().out) == {"out": {"path": str(file), "location": file.as_uri()}}
    assert file.read_text(encoding="utf-8") == "said"
    assert list(site.outputs.iterdir()) == []
    assert site.api.requests[-4][1] == {"dag_run_id": "run", "logical_date": None, "conf": {"job": {}}}


@pytest.mark.parametrize(("given", "password"), [(None, "%41:b"), ("other", "other")])
def test_who_asks_is_the_administrator(
    site: Site, monkeypatch: pytest.MonkeyPatch, given: str | None, password: str
) -> None:
    if given:
        monkeypatch.setenv("AIRFLOW_PASSWORD", given)
    asked = []
    monkeypatch.setattr(host, "AirflowClient", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(command, "run_document", lambda *_: {})
    assert site.run(str(site.document)) == 0
    assert asked == [(site.api.url, "admin", password)]


DOCUMENT = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "baseCommand": "true",
    "inputs": {"reads": "File?", "threads": {"type": "int", "default": 2}},
    "outputs": {},
}


def test_inputs_may_be_options(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.document.write_text(json.dumps(DOCUMENT), encoding="utf-8")
    monkeypatch.chdir(site.folder / "cwl/inputs")
    Path("a.fq").touch()
    assert site.run(str(site.document), "--reads", "a.fq") == 0
    (body,) = [body for question, body in site.api.requests if question == f"POST /dags/{DAG_ID}/dagRuns"]
    job = body["conf"]["job"]
    assert (job["reads"]["location"], job["threads"]) == (Path("a.fq").absolute().as_uri(), 2)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (["--raeds", "a"], "--raeds is no input of the document, which has: --reads, --threads. Did you mean 'reads'?"),
        (["--threads", "two"], "--threads must be integer, not 'two'."),
    ],
)
def test_an_option_that_is_wrong_is_named(
    site: Site, capsys: pytest.CaptureFixture[str], inputs: list[str], said: str
) -> None:
    site.document.write_text(json.dumps(DOCUMENT), encoding="utf-8")
    assert site.run(str(site.document), *inputs) == 1
    assert capsys.readouterr().err == f"{said}\n"
    assert site.api.requests == []


def test_inputs_are_in_a_file_or_options(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        site.run(str(site.document), "job.yml", "--reads", "a")
    assert "give the inputs in the job's file or as options, not both" in capsys.readouterr().err


def test_a_folder_that_may_not_be_written_is_refused_before(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (site.folder / "file").touch()
    assert site.run("--outdir", str(site.folder / "file/out"), str(site.document)) == 1
    assert "--outdir: " in (said := capsys.readouterr().err)
    assert "may not be written by the user" in said
    assert site.api.requests == []


def test_the_steps_are_shown_to_whoever_looks(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [
        {"task_id": "CWLJobDispatcher", "map_index": -1, "state": "success", "duration": 1.0},
        {"task_id": "align", "map_index": -1, "state": "running", "duration": 2.5},
        {"task_id": "align.jobs", "map_index": 3, "state": "success", "duration": 2.5},
        {"task_id": "sort", "map_index": -1, "state": None, "duration": None},
    ]
    shown = io.StringIO()
    monkeypatch.setattr(command, "Console", lambda **_: Console(file=shown, force_terminal=True, width=120))
    site.api.answer(f"GET {RUN}/taskInstances", tasks_answer(tasks))
    monkeypatch.setattr(command.sys.stderr, "isatty", lambda: True)
    client = rest.AirflowClient(site.api.url, "a", "b")
    known = Host(client, "a", "https://example.org", Places(*[site.folder] * 6), {}, "", own_shell=False)
    with command.Progress(known, quiet=False, removed=False) as progress:
        progress.watch(DAG_ID, "run")()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue())
    lines_shown = [line.split() for line in text.splitlines() if line.strip()]
    assert "".join(lines_shown.pop(0)) == f"https://example.org/dags/{DAG_ID}/runs/run"
    assert lines_shown[:2] == [["align", "running", "2.5", "s"], ["sort", "waiting"]]
    with command.Progress(known, quiet=True, removed=False) as progress:
        progress.watch(DAG_ID, "run")()
    assert capsys.readouterr().err == ""


def test_a_run_that_fails(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.fail("exit status 1")
    assert site.run(str(site.document)) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "a failed:\nexit status 1\n")
    assert list(site.dags.glob("cwl-runner/*.py")) == []
    assert site.run("--quiet", str(site.document)) == 1
    assert capsys.readouterr().err == ""


def test_what_is_not_supported_has_its_own_code(site: Site) -> None:
    site.fail("UnsupportedRequirement: no")
    assert site.run(str(site.document)) == 33


@pytest.mark.full
def test_a_run_that_takes_too_long_is_stopped(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.api.answer(f"GET {RUN}", (200, {"state": "running"}))
    assert site.run("--timeout", "3", str(site.document)) == 1
    assert capsys.readouterr().err == "The run took too long\n"
    assert (f"PATCH {RUN}", {"state": "failed"}) in site.api.requests
    assert site.api.questions()[-1] == f"DELETE /dags/{DAG_ID}"


def test_a_document_that_airflow_cannot_read(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    error = {
        "filename": f"cwl-runner/{DAG_ID}.py",
        "stack_trace": "tool.cwl: not CWL",
        "timestamp": "2999-01-01T00:00:00Z",
    }
    site.api.answer(f"GET /dags/{DAG_ID}", (404, {}))
    site.api.answer("GET /importErrors", (200, {"import_errors": [error]}))
    # Where there is no such run, and no such DAG.
    site.api.answer(f"PATCH {RUN}", (404, {}))
    site.api.answer(f"DELETE /dags/{DAG_ID}", (404, {}))
    assert site.run(str(site.document)) == 1
    assert capsys.readouterr().err == "tool.cwl: not CWL\n"


def test_airflow_refuses(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.api.answer(f"POST /dags/{DAG_ID}/dagRuns", (403, {"title": "Forbidden"}))
    assert site.run(str(site.document)) == 1
    assert "403" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["document", "job"])
def test_what_the_run_would_refuse_is_refused_before(
    site: Site, capsys: pytest.CaptureFixture[str], what: str, tmp_path: Path
) -> None:
    job = site.folder / "cwl/inputs/job.yml"
    job.write_text(json.dumps({"secret": {"class": "File", "path": "/etc/shadow"}}), encoding="utf-8")
    arguments = ["/etc/passwd"] if what == "document" else [str(site.document), str(job)]
    assert site.run(*arguments) == 1
    assert ("/etc/passwd" if what == "document" else "/etc/shadow") in capsys.readouterr().err
    assert site.api.requests == []
    assert list(site.dags.glob("cwl-runner/*.py")) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://example.org/a.cwl#main", "https://example.org/a.cwl#main"),
        ("/a/b.cwl#main", "/a/b.cwl#main"),
        ("b.cwl", f"{os.getcwd()}/b.cwl"),
    ],
)
def test_paths_are_those_of_the_folder_where_it_is_called(source: str, expected: str) -> None:
    assert shell_run.make_absolute(source) == expected


def test_a_document_of_the_net_is_no_file_of_the_host(site: Site) -> None:
    shell_run.check_access("https://example.org/a.cwl", {}, Places(*[site.folder] * 6).gate())


def test_whoever_is_told_to_stop_stops_the_run(site: Site, wait: Callable[[Callable[[], Any]], None]) -> None:
    site.api.answer(f"GET {RUN}", (200, {"state": "running"}))
    known = "import sys, uuid; uuid.uuid4 = lambda: uuid.UUID(int=1)"
    code = f"{known}; from cwl_airflow.commands.run import main; sys.exit(main())"
    arguments = ["--url", site.api.url, "--rm", str(site.document)]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment) as process:
        try:
            wait(lambda: f"GET {RUN}" in site.api.questions())
            process.terminate()
            assert process.wait(30) == 143
        finally:
            process.kill()
    assert (f"PATCH {RUN}", {"state": "failed"}) in site.api.requests
    assert list(site.dags.glob("cwl-runner/*.py")) == []


@pytest.fixture
def wait() -> Callable[[Callable[[], Any]], None]:
    def until(found: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 60
        while not found():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    return until
