"""The command that proves a host: what it asks Airflow's API, what it shows, and when it is not content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_api import AirflowApi, Answer, log_answer, serve, tasks_answer
from cwl_airflow.commands import verify as command
from cwl_airflow.documents.plan import OUTPUTS_REPORT, STATISTICS

from cwl_airflow import example_runs, expected_outputs, rest

TASKS = ("CWLJobDispatcher", "sort", "number", "CWLJobGatherer")
JSON = list[dict[str, Any]]


def tasks(*states: str | None, **more: Any) -> JSON:
    """Return tasks as the API describes them."""
    return [
        {"task_id": task_id, "state": state, "try_number": 1, "map_index": -1, **more}
        for task_id, state in zip(TASKS, states, strict=False)
    ]


class Site:
    """A host with examples, and the stand-in for its Airflow."""

    def __init__(self, folder: Path, api: AirflowApi) -> None:
        """Write its configuration."""
        self.folder = folder
        self.api = api
        self.dags = folder / "dags"
        self.dags.mkdir()
        self.outputs = folder / "outputs"
        (folder / "airflow.cfg").write_text(
            f"[core]\ndags_folder = {self.dags}\n[cwl]\ntmp_folder = {folder}/tmp\noutputs_folder = {self.outputs}\n",
            encoding="utf-8",
        )
        (folder / "administrator.json").write_text('{"user": "admin", "password": "secret"}', encoding="utf-8")

    def add(self, name: str, content: str = "1 apple\n") -> None:
        """Add an example with one output, whose run succeeds and gives it."""
        folder = self.dags / name
        (folder / "expected").mkdir(parents=True)
        (folder / "job.yml").write_text("{}", encoding="utf-8")
        checksum = f"sha1${hashlib.sha1(content.encode()).hexdigest()}"
        expected = {"out": {"class": "File", "location": "out.txt", "size": len(content), "checksum": checksum}}
        (folder / "expected/outputs.json").write_text(json.dumps(expected), encoding="utf-8")
        self.api.answer(f"GET /dags/{name}", (200, {}))
        self.api.answer(f"POST /dags/{name}/dagRuns", (200, {}))
        self.answer_tasks(name, tasks("success", "success", "success", "success"))
        self.api.answer(f"GET /dags/{name}/dagRuns/v1", lambda: self.succeed(name, content))

    def answer_tasks(self, name: str, *answers: JSON) -> None:
        """Say which tasks a run has, at one look after the other."""
        question = f"GET /dags/{name}/dagRuns/v1/taskInstances"
        self.api.answer(question, *map(tasks_answer, answers))

    def succeed(self, name: str, content: str) -> Answer:
        """Write the outputs, as the last task does."""
        file = self.outputs / name / "v1/out.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        found = {"class": "File", "location": file.as_uri(), "path": str(file), "basename": "out.txt"}
        report = {"out": found, STATISTICS: {"steps": {}}}
        (file.parent / OUTPUTS_REPORT).write_text(json.dumps(report), encoding="utf-8")
        return 200, {"state": "success"}

    def fail(self, name: str, failed: JSON, **logs: list[Any]) -> None:
        """Have the run of an example fail, with the logs of its tasks."""
        run = f"GET /dags/{name}/dagRuns/v1"
        self.api.answer(run, (200, {"state": "failed"}))
        self.answer_tasks(name, failed)
        for task_id, log in logs.items():
            self.api.answer(f"{run}/taskInstances/{task_id}/logs/1", log_answer(*log))

    def verify(self, *arguments: str) -> int:
        """Call the command."""
        return command.main(["--url", self.api.url, "--run-id", "v1", *arguments])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_file: None) -> Iterator[Site]:
    monkeypatch.setattr(example_runs, "PAUSE", 0.01)
    monkeypatch.setenv("AIRFLOW_CONFIG", str(tmp_path / "airflow.cfg"))
    with serve() as api:
        yield Site(tmp_path, api)


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[list[str], list[str]]]:
    """Return a function that returns the lines on standard output, without seconds, and those on standard error."""

    def read() -> tuple[list[str], list[str]]:
        out, err = capsys.readouterr()
        return re.sub(r"^ +[\d.]+ s ", "", out, flags=re.MULTILINE).splitlines(), err.splitlines()

    return read


def test_all_examples_are_run_at_once_followed_and_compared(site: Site, shown: Any) -> None:
    site.add("two-step")
    site.add("word-count")
    (site.dags / "lab").mkdir()
    site.api.answer(
        "GET /dags/two-step/dagRuns/v1",
        (200, {"state": "running"}),
        (200, {"state": "running"}),
        lambda: site.succeed("two-step", "1 apple\n"),
    )
    some = tasks("success", "running", None, None)
    site.answer_tasks("two-step", some, some, tasks("success", "success", "skipped", "success"))
    assert site.verify() == 0
    out, err = shown()
    assert out == [
        " two-step: running, 1 of 4 tasks done, running sort",
        " word-count: success, 4 of 4 tasks done",
        " two-step: success, 4 of 4 tasks done",
        f"two-step/out: {site.outputs}/two-step/v1/out.txt",
        f"word-count/out: {site.outputs}/word-count/v1/out.txt",
    ]
    assert err == []
    bodies = [(question, body) for question, body in site.api.requests if question.startswith("POST")]
    assert bodies == [
        (
            f"POST /dags/{name}/dagRuns",
            {"dag_run_id": "v1", "logical_date": None, "conf": {"job": f"{site.dags}/{name}/job.yml"}},
        )
        for name in ("two-step", "word-count")
    ]


def test_a_change_is_shown_with_its_time(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.add("two-step")
    assert site.verify("--only", "run", "two-step") == 0
    assert re.fullmatch(r"    0\.\d s  two-step: success, 4 of 4 tasks done\n", capsys.readouterr().out)


def test_programs_get_json(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.add("two-step")
    assert site.verify("--json", "two-step") == 0
    told = json.loads(capsys.readouterr().out)
    seconds = told["seconds"].pop("two-step")
    assert told.pop("progress") == [f"  {seconds:5.1f} s  two-step: success, 4 of 4 tasks done"]
    assert told == {
        "run_id": "v1",
        "states": {"two-step": "success"},
        "seconds": {},
        "outputs": {"two-step": [f"out: {site.outputs}/two-step/v1/out.txt"]},
    }


def test_outputs_are_compared_where_they_are_seen(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.add("two-step")
    assert site.verify("--json", "--only", "run") == 0
    assert "outputs" not in json.loads(capsys.readouterr().out)
    asked = len(site.api.requests)
    assert site.verify("--json", "--only", "compare", "two-step") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "run_id": "v1",
        "progress": [],
        "outputs": {"two-step": [f"out: {site.outputs}/two-step/v1/out.txt"]},
    }
    assert len(site.api.requests) == asked


def test_a_name_for_the_runs_is_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "_run", lambda *_: None)
    assert command.main(["--json", "--only", "run", "two-step"]) == 0
    assert re.fullmatch(r"verify-\d{8}T\d{6}", json.loads(capsys.readouterr().out)["run_id"])


def test_to_compare_a_name_of_runs_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--only", "compare", "two-step"])
    assert "--only compare needs --run-id" in capsys.readouterr().err


def test_a_failed_task_is_named_with_its_last_lines(site: Site, shown: Any) -> None:
    site.add("two-step")
    failed = [
        {**task, "end_date": f"2026-11-27T00:00:0{9 - number}"}
        for number, task in enumerate(tasks("success", "failed", "failed", "upstream_failed"))
    ]
    lines = [f"line {number}" for number in range(20)]
    lines += ["number failed (exited with 1)\nnl fruit.txt\nno such file"]
    errors = [{"exc_type": "StepFailed", "exc_value": "number: why", "frames": [{"filename": "operators.py"}]}]
    messages = [*lines, {"event": "Task failed with exception", "error_detail": errors}, rest.ENDING, "later"]
    site.fail("two-step", failed, number=messages, sort=["later"])
    assert site.verify() == 1
    out, err = shown()
    assert out == [" two-step: failed, 1 of 4 tasks done"]
    assert err == [
        "two-step failed (run v1). Task number (and sort):",
        "line 17",
        "line 18",
        "line 19",
        "number failed (exited with 1)",
        "nl fruit.txt",
        "no such file",
        "Task failed with exception",
        "StepFailed: number: why",
    ]


def test_a_run_that_failed_without_a_task(site: Site, shown: Any) -> None:
    site.add("two-step")
    site.fail("two-step", tasks("success", None))
    assert site.verify("--json") == 1
    out, err = shown()
    assert json.loads("\n".join(out))["states"] == {"two-step": "failed"}
    assert err == ["two-step failed (run v1), but none of its tasks."]


def test_no_error_is_longer_than_ten_lines_or_very_wide(site: Site, shown: Any) -> None:
    site.add("two-step")
    site.fail("two-step", tasks("failed"), CWLJobDispatcher=["x" * 10_000] * 100)
    assert site.verify() == 1
    err = shown()[1]
    assert len(err) <= 10
    assert max(map(len, err)) <= example_runs.SHOWN_CHARACTERS


def test_what_is_not_done_in_time_is_named(site: Site, shown: Any) -> None:
    site.add("two-step")
    site.add("word-count")
    site.api.answer("GET /dags/word-count/dagRuns/v1", (200, {"state": "queued"}))
    site.answer_tasks("word-count", tasks(None, None))
    assert site.verify("--timeout", "0.2") == 1
    assert shown()[1] == ["Not done in time: word-count: queued, 0 of 2 tasks done."]


def test_a_dag_file_that_airflow_cannot_read(site: Site, shown: Any) -> None:
    site.add("two-step")
    trace = (
        "Traceback (most recent call last):\n" + '  File "dag.py", line 1\n    raise\n' * 20 + "ValueError: not CWL\n"
    )
    error = {"filename": "two-step/dag.py", "stack_trace": trace}
    site.api.answer("GET /dags/two-step", (404, {}))
    site.api.answer("GET /importErrors", (200, {"import_errors": [error]}))
    assert site.verify() == 1
    assert shown()[1] == ["two-step could not be triggered:", "ValueError: not CWL"]


def test_an_api_server_that_restarts_is_waited_for(site: Site) -> None:
    site.add("two-step")
    waits, retries = [], command.PATIENT
    for _ in range(retries.total):
        retries = retries.increment("GET", "/", error=OSError())
        waits.append(retries.get_backoff_time())
    assert sum(waits) == 126
    site.api.answer("GET /dags/two-step", (503, "restarting"), (200, {}))
    assert site.verify() == 0


def test_airflow_that_does_not_answer_any_more(site: Site, shown: Any) -> None:
    site.add("two-step")
    site.api.answer("GET /dags/two-step/dagRuns/v1/taskInstances", (403, {"title": "Forbidden"}))
    assert site.verify() == 1
    (line,) = shown()[1]
    assert "403" in line


def test_a_dag_file_that_airflow_has_not_seen(site: Site, shown: Any) -> None:
    site.add("two-step")
    site.api.answer("GET /dags/two-step", (404, {}))
    site.api.answer("GET /importErrors", (200, {"import_errors": []}))
    assert site.verify("--timeout", "0") == 1
    assert shown()[1] == ["two-step could not be triggered:", "Airflow did not read two-step in time"]


def test_a_host_without_the_administrators_login(site: Site, shown: Any) -> None:
    (site.folder / "administrator.json").unlink()
    assert site.verify("two-step") == 1
    assert "administrator.json" in shown()[1][0]


def test_other_outputs_are_told(site: Site, shown: Any) -> None:
    site.add("two-step")
    site.api.answer("GET /dags/two-step/dagRuns/v1", lambda: site.succeed("two-step", "2 apple\n"))
    assert site.verify() == 1
    head, *problems = shown()[1]
    assert head == "The outputs of run v1 are not the expected ones:"
    assert len(problems) == 1
    assert problems[0].startswith("two-step/out: Output file checksums do not match: actual 'sha1$")


def test_outputs_that_are_not_there_are_told_beside_the_others(site: Site, shown: Any) -> None:
    names = [f"example-{number:02}" for number in range(20)]
    for name in names:
        site.add(name)
    assert site.verify("--only", "compare", *names) == 1
    err = shown()[1]
    assert len(err) == 10
    assert err[1].startswith("example-00 cannot be compared: ")
    assert OUTPUTS_REPORT in err[1]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"total": 12}, {"total": 12}),
        ({"total": 12, "none": None}, {"total": 12}),
        ({"anything": {"a": [1]}}, {"anything": "Any"}),
        ({"list": [{"a": "x"}]}, {"list": [{"a": "x"}]}),
    ],
)
def test_equal_outputs_do_not_differ(found: Any, expected: Any) -> None:
    assert expected_outputs.differences(found, expected) == []


@pytest.mark.parametrize(
    ("found", "expected", "told"),
    [
        ({"total": 13}, {"total": 12}, "total: expected: 12 got: 13"),
        ({}, {"total": 12}, "total: expected: 12 got: null"),
        ({"more": 1}, {}, "more: expected: null got: 1"),
        ({"list": [1]}, {"list": [1, 2]}, "list: lengths don't match"),
        ({"record": {"a": [1, 2]}}, {"record": {"a": [1, 3]}}, "record: expected: 3 got: 2"),
        ({"file": "a.txt"}, {"file": {"class": "File"}}, 'file: expected: { "class": "File" } got: "a.txt"'),
    ],
)
def test_a_difference_is_a_line_with_its_reason(found: Any, expected: Any, told: str) -> None:
    assert expected_outputs.differences(found, expected) == [told]


def written(folder: Path, name: str, **more: Any) -> dict[str, Any]:
    """Write a file and return it as an output."""
    file = folder / name
    file.write_text(name, encoding="utf-8")
    return {"class": "File", "path": str(file), "location": file.as_uri(), "basename": name, "size": len(name), **more}


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ({"location": "50% of a.bam"}, None),
        ({"location": "Any"}, None),
        ({"location": "50% of a.bam", "secondaryFiles": [{"class": "File", "location": "a.bai"}]}, None),
        ({"location": "b.bam"}, "does not end with b.bam"),
        ({"location": "50% of a.bam", "size": 1}, "sizes do not match"),
        ({"location": "50% of a.bam", "secondaryFiles": []}, "lengths don't match"),
        ({"secondaryFiles": [{"class": "File", "location": "b.bai"}]}, "does not end with b.bai"),
    ],
)
def test_of_files_counts_what_is_expected(tmp_path: Path, expected: dict[str, Any], told: str | None) -> None:
    found = {"out": written(tmp_path, "50% of a.bam", secondaryFiles=[written(tmp_path, "a.bai")])}
    problems = expected_outputs.differences(found, {"out": {"class": "File", **expected}})
    assert [told in problem for problem in problems] == ([True] if told else [])


def test_a_file_that_is_gone_differs(tmp_path: Path) -> None:
    found = {"out": written(tmp_path, "a.txt")}
    (tmp_path / "a.txt").unlink()
    (problem,) = expected_outputs.differences(found, {"out": {"class": "File", "location": "a.txt"}})
    assert problem == f"out: {tmp_path}/a.txt does not exist"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"class": "File", "location": "file:///o/a%20b.txt"}, "/o/a b.txt"),
        ({"class": "Directory", "path": "/o"}, "/o"),
        ({"class": "File", "contents": "x"}, '{"class": "File", "contents": "x"}'),
        ([{"class": "File", "path": "/a"}, {"class": "File", "path": "/b"}], "/a, /b"),
        ([], ""),
        (None, "null"),
        (1.5, "1.5"),
        ("x", '"x"'),
        ({"n": 1}, '{"n": 1}'),
    ],
)
def test_an_output_is_described_in_a_line(value: Any, line: str) -> None:
    assert expected_outputs.describe(value) == line
