"""The command that runs a suite: what it asks the CWL API and Airflow, what it shows, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from airflow_api import AirflowApi, Answer, log_answer, serve, tasks_answer
from cwl_airflow.commands import main as command
from cwl_airflow.commands import suite as suite_command
from cwl_airflow.conformance import tester
from cwl_airflow.documents.plan import STATISTICS

from cwl_airflow import rest

WES = "/api/experimental/wes/runs"
PROBLEM = {"title": "Bad Request", "detail": "The document cannot be read: no."}
SUITE = """
- {id: gives-one, tool: a.cwl, output: {out: 1}}
- {id: fails, doc: It fails., tool: a.cwl, job: job.yml, should_fail: true}
- {id: gives-two, tool: a.cwl, output: {out: 2}, tags: [required, x]}
"""


class Site:
    """A host with a suite, and one server that stands in for its Airflow and its CWL API."""

    def __init__(self, folder: Path, api: AirflowApi) -> None:
        """Have runs `r1`, `r2` and so on, which succeed and give 1."""
        self.folder, self.api, self.runs = folder, api, 0
        self.submitted: list[bytes] = []
        (folder / "dags").mkdir()
        (folder / "airflow.cfg").write_text(f"[core]\ndags_folder = {folder}/dags\n", encoding="utf-8")
        (folder / "administrator.json").write_text('{"user": "admin", "password": "secret"}', encoding="utf-8")
        (folder / "suite.yml").write_text(SUITE, encoding="utf-8")
        (folder / "a.cwl").write_text("class: CommandLineTool", encoding="utf-8")
        (folder / "job.yml").write_text("text: größe", encoding="utf-8")
        api.answer("GET /dags", (200, {"dags": []}))
        api.answer(f"POST {WES}", (400, PROBLEM), *[self.submit] * 10)
        for number in range(1, 9):
            run = f"r{number}"
            self.end(run, "success")
            api.answer(f"GET {WES}/{run}", (200, {"outputs": {"out": 1, STATISTICS: {}}}))
            api.answer(f"DELETE /dags/{run}", (409, {}), (204, ""))

    def submit(self) -> Answer:
        """Take a document, as the CWL API does."""
        self.runs += 1
        run = f"r{self.runs}"
        self.submitted.append(self.api.requests[-1][1])
        for file in (f"dags/{run}.py", f"cwl/tmp/@wes/{run}/a", f"cwl/tmp/{run}/a", f"cwl/outputs/{run}/run/a"):
            (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / file).touch()
        return 200, {"run_id": run}

    def end(self, run: str, state: str) -> None:
        """Say how a run ends, of which a task writes a log."""
        path = f"/dags/{run}/dagRuns/{run}"
        tasks = [{"task_id": "a", "state": state, "try_number": 1, "map_index": -1}]
        self.api.answer(f"GET {path}", (200, {"state": "queued"}), (200, {"state": state}))
        self.api.answer(f"GET {path}/taskInstances", tasks_answer(tasks))
        self.api.answer(f"GET {path}/taskInstances/a/logs/1", log_answer("exit status 1"))
        self.api.answer(f"PATCH {path}", (200, {}))

    @property
    def arguments(self) -> list[str]:
        """Those of the command."""
        return ["test", "--suite", str(self.folder / "suite.yml"), "--api", self.api.url, "--url", self.api.url, "-j1"]

    def test(self, *arguments: str) -> int:
        """Call the command."""
        return command.main([*self.arguments, *arguments])

    def left(self) -> list[str]:
        """Return the files that runs left."""
        found = [*(self.folder / "dags").rglob("*"), *(self.folder / "cwl").rglob("*")]
        return sorted(str(file.relative_to(self.folder)) for file in found if file.is_file())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_file: None) -> Iterator[Site]:
    monkeypatch.setattr(tester, "PAUSE", 0.01)
    monkeypatch.setattr(rest, "RETRIES", rest.RETRIES.new(backoff_factor=0))
    monkeypatch.setenv("AIRFLOW_CONFIG", str(tmp_path / "airflow.cfg"))
    handler = signal.getsignal(signal.SIGTERM)
    with serve() as api:
        yield Site(tmp_path, api)
    signal.signal(signal.SIGTERM, handler)


def seconds_removed(text: str) -> list[str]:
    return [line.partition(" (")[0] if " s)" in line else line for line in text.splitlines()]


def test_a_suite_runs_and_leaves_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.end("r2", "failed")
    assert site.test("--junit-xml", str(site.folder / "junit.xml")) == 1
    assert seconds_removed(capsys.readouterr().out) == [
        "passed  1 gives-one",
        "passed  2 fails",
        "FAILED  3 gives-two",
        "out: expected: 2 got: 1",
        "2 of 3 tests passed",
        "did not pass: 3 gives-two",
    ]
    assert site.left() == []
    assert site.api.questions().count("DELETE /dags/r1") == 2  # the first one was refused
    assert b'name="workflow_url"\r\n\r\nsuite/a.cwl\r\n' in site.submitted[0]
    assert b'filename="suite/a.cwl"\r\n\r\nclass: CommandLineTool\r\n' in site.submitted[0]
    assert b'{"text": "gr\\u00f6\\u00dfe"}' in site.submitted[1]
    assert all("secret" not in json.dumps(str(request)) for request in site.api.requests)
    (suite,) = ElementTree.parse(site.folder / "junit.xml").getroot()
    cases = [(case.get("classname"), case.get("name"), [each.tag for each in case]) for case in suite]
    assert cases == [
        ("gives-one", "gives-one", []),
        ("fails", "It fails.", []),
        ("gives-two", "gives-two", ["failure"]),
    ]
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("suite", "3", "1")


def test_a_part_of_it(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.test("--range", "1") == 0
    assert capsys.readouterr().out.endswith("1 of 1 tests passed\n")


def test_a_document_that_is_refused_is_what_a_test_may_want(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.api.answer(f"POST {WES}", (400, PROBLEM))
    assert site.test("--range", "1-2") == 1
    shown = seconds_removed(capsys.readouterr().out)
    assert shown[0] == "FAILED  1 gives-one"
    assert "400 The document cannot be read: no." in shown[1]
    assert shown[2] == "passed  2 fails"


def test_a_run_that_fails_says_why_in_a_few_lines(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.end("r1", "failed")
    site.api.answer("GET /dags/r1/dagRuns/r1/taskInstances/a/logs/1", log_answer(*map(str, range(100))))
    assert site.test("--range", "1") == 1
    assert seconds_removed(capsys.readouterr().out)[1:9] == [str(number) for number in range(92, 100)]


def test_a_run_that_fails_without_a_task(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.end("r1", "failed")
    site.api.answer("GET /dags/r1/dagRuns/r1/taskInstances", tasks_answer([]))
    assert site.test("--range", "1") == 1
    assert "but none of its tasks" in capsys.readouterr().out


def test_a_run_that_must_fail_and_succeeds(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.test("--range", "2") == 1
    assert "It succeeded, and must fail" in capsys.readouterr().out


def test_a_run_that_takes_too_long_is_ended(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.api.answer("GET /dags/r1/dagRuns/r1", (200, {"state": "running"}))
    assert site.test("--range", "1", "--timeout", "0.05") == 1
    assert "It did not end in 0.05 s" in capsys.readouterr().out
    assert ("PATCH /dags/r1/dagRuns/r1", {"state": "failed"}) in site.api.requests
    assert site.left() == []


def test_what_goes_wrong_with_a_test_is_not_the_end_of_the_others(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.api.answer("GET /dags/r1/dagRuns/r1", (418, "no"))
    site.api.answer(f"GET {WES}/r3", (418, "a teapot"))
    site.api.answer(f"POST {WES}", (400, PROBLEM), site.submit, (418, "full"), site.submit, site.submit)
    site.runs = 0
    assert site.test() == 1
    shown = seconds_removed(capsys.readouterr().out)
    assert [line for line in shown if line.startswith(("passed", "FAILED"))] == [
        "FAILED  1 gives-one",
        "FAILED  2 fails",
        "FAILED  3 gives-two",
    ]
    assert any(line.endswith("418 full") for line in shown)
    assert site.left() == []


def test_airflow_never_lets_go_of_a_dag(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tester, "TRIES", 3)
    site.api.answer("DELETE /dags/r1", (409, {}))
    assert site.test("--range", "1") == 0
    assert site.api.questions().count("DELETE /dags/r1") == 3
    site.api.answer("DELETE /dags/r2", (404, {}))
    site.api.answer(f"POST {WES}", (400, PROBLEM), site.submit)
    assert site.test("--range", "1") == 0
    assert site.api.questions().count("DELETE /dags/r2") == 1


@pytest.mark.parametrize(
    ("status", "said"), [(401, "User or password is wrong"), (403, "do not allow"), (404, "nothing")]
)
def test_a_login_that_will_not_do_ends_it_before_anything_runs(
    site: Site, capsys: pytest.CaptureFixture[str], status: int, said: str
) -> None:
    site.api.answer(f"POST {WES}", (status, {"detail": said}))
    assert site.test() == 2
    shown = capsys.readouterr()
    assert (shown.out, said in shown.err, len(shown.err.splitlines())) == ("", True, 1)
    assert site.submitted == []


def test_nobody_answers(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.test("--api", "http://127.0.0.1:1") == 2
    assert "http://127.0.0.1:1/" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--range", "4"], "--range 4: 4 is not in the suite, which has the tests 1 to 3"),
        (["--suite", "/none.yml"], "--suite /none.yml: /none.yml is no file"),
        (["--jobs", "0"], "--jobs 0: give 1 or more"),
        (["--junit-xml", "/none/a.xml"], "--junit-xml /none/a.xml: No such file or directory: name a file"),
        (["--password-file", "/x"], "--password-file /x: it needs --user"),
        (["--user", "a", "--password-file", "/none"], "--password-file /none: the password cannot be read"),
    ],
)
def test_what_cannot_be_is_said_with_its_option(
    site: Site, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert site.test(*arguments) == 2
    assert capsys.readouterr().err.startswith(f"cwl-airflow test: error: {said}")
    assert site.api.requests == []


def test_a_host_without_a_login(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (site.folder / "administrator.json").unlink()
    assert site.test() == 2
    shown = capsys.readouterr().err
    assert (str(site.folder / "administrator.json") in shown, "sudo" in shown, "--user" in shown) == (True, True, True)


@pytest.mark.parametrize("source", ["file", "stdin", "prompt"])
def test_the_password_of_a_user_is_on_no_command_line(site: Site, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    file = site.folder / "password"
    file.write_text("from file\n", encoding="utf-8")
    asked = []

    def prompt(text: str) -> str:
        asked.append(text)
        return "from prompt"

    monkeypatch.setattr(suite_command.getpass, "getpass", prompt)
    with file.open(encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        given = {"file": ["--password-file", str(file)], "stdin": ["--password-file", "-"], "prompt": []}[source]
        assert site.test("--range", "1", "--user", "alice", *given) == 0
    password = "from prompt" if source == "prompt" else "from file"
    assert site.api.logins[0] == {"username": "alice", "password": password}
    assert asked == (["Password of alice: "] if source == "prompt" else [])


def test_a_spinner_where_it_is_wanted(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.test("--range", "1", "--spin") == 0
    shown = capsys.readouterr().out
    assert "1/1" in shown
    assert "gives-one" in shown
    assert "\x1b[" in shown


@pytest.mark.full
def test_whoever_ends_it_ends_the_runs(site: Site) -> None:
    site.api.answer("GET /dags/r1/dagRuns/r1", (200, {"state": "running"}))
    code = "import sys; from cwl_airflow.commands.main import main; sys.exit(main(sys.argv[1:]))"
    command_line = [sys.executable, "-c", code, *site.arguments, "--junit-xml", str(site.folder / "junit.xml")]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(command_line, env=environment) as process:
        try:
            deadline = time.monotonic() + 60
            while "GET /dags/r1/dagRuns/r1" not in site.api.questions():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.terminate()
            assert process.wait(60) == 143
        finally:
            process.kill()
    assert ("PATCH /dags/r1/dagRuns/r1", {"state": "failed"}) in site.api.requests
    assert site.left() == []
    assert len(site.submitted) == 1
    assert (site.folder / "junit.xml").exists()


def test_an_error_of_ours_ends_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(tester, "make_request", fail)
    with pytest.raises(RuntimeError, match="ours"):
        site.test()
