"""Documents that are added to a site: what is copied, under which name, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_api import AirflowApi, serve
from cwl_airflow.commands import add, logs, stop
from cwl_airflow.gate import Places
from cwl_airflow.shell import adding, host
from cwl_airflow.shell.host import Host, ShellClient

TOOL = {"cwlVersion": "v1.2", "class": "CommandLineTool", "baseCommand": "true", "inputs": {"n": "int?"}, "outputs": {}}


class Shell:
    """A home, and a site with the stand-in for its Airflow."""

    def __init__(self, folder: Path, api: AirflowApi) -> None:
        """Make both; Airflow has read each DAG file in the far future."""
        self.api = api
        names = ("inputs", "dags", "outputs", "tmp", "embedded")
        site = folder / "site"
        for each in (folder / "home", *(site / name for name in names)):
            each.mkdir(parents=True)
        self.home, self.dags = folder / "home", site / "dags"
        places = Places(site, *(site / name for name in names))
        self.host = Host(ShellClient(api.url, "token"), "carol", "https://pages", places, {}, api.url, True)

    def write(self, path: str, content: object = TOOL) -> Path:
        """Write a file of the home."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return file

    def knows(self, dag_id: str, *before: tuple[int, object]) -> None:
        """Have Airflow know a DAG, after other answers."""
        tasks = [{"task_id": name, "queue": "default"} for name in ("CWLJobDispatcher", dag_id, "CWLJobGatherer")]
        self.api.answer(f"GET /dags/{dag_id}", *before, (200, {}))
        self.api.answer(f"GET /dags/{dag_id}/details", (200, {"last_parsed_time": "2999-01-01T00:00:00Z"}))
        self.api.answer(f"GET /dags/{dag_id}/tasks", (200, {"tasks": tasks}))
        self.api.answer("GET /importErrors", (200, {"import_errors": []}))


@pytest.fixture
def shell(tmp_path: Path, only_file: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    with serve() as api:
        made = Shell(tmp_path, api)
        for command in (add, logs, stop):
            monkeypatch.setattr(command, "find_host", lambda _: made.host)
        monkeypatch.setattr(add.ContainerEngine, "is_away", lambda _: True)  # nothing is pulled
        yield made


def test_a_document_is_copied_with_its_files_and_gets_a_dag(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    step = {"run": "tools/tool.cwl", "in": {}, "out": []}
    shell.write("align/tools/tool.cwl", {**TOOL, "hints": {"DockerRequirement": {"dockerPull": "debian:13"}}})
    workflow = {"cwlVersion": "v1.2", "class": "Workflow", "label": "Align", "inputs": {}, "outputs": {}}
    shell.write("align/workflow.cwl", {**workflow, "steps": {"only": step}})
    shell.write("align/notes.txt", "not of the document")
    shell.knows("align", (404, {}))
    assert add.main([str(shell.home / "align")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "align: Workflow, Align"
    assert shown[3:] == [
        "  images: debian:13",
        "  The first run pulls the images.",
        "  queues: align → default",
        "https://pages/dags/align",
    ]
    files = sorted(str(file.relative_to(shell.dags)) for file in shell.dags.rglob("*") if file.is_file())
    assert files == ["align/dag.py", "align/document/tools/tool.cwl", "align/document/workflow.cwl"]
    text = (shell.dags / "align/dag.py").read_text()
    assert "workflow=str(Path(__file__).parent / 'document/workflow.cwl'), dag_id='align'" in text
    compile(text, "dag.py", "exec")


def test_only_checked_means_nothing_is_written(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    assert add.main(["--check", str(shell.write("tool.cwl"))]) == 0
    assert "inputs: n (int?)" in capsys.readouterr().out
    assert list(shell.dags.iterdir()) == []
    assert shell.api.requests == []


@pytest.mark.parametrize(
    ("there", "arguments", "why"),
    [
        (("a/one.cwl", "a/two.cwl"), ["a"], "has one.cwl, two.cwl: give its path."),
        (("a/readme",), ["a"], "has none: give its path."),
        (("a b.cwl",), ["a b.cwl"], "'a b' is no name of a DAG: give another one with --dag"),
        (("a.cwl",), ["a.cwl", "--dag", ".."], "'..' is no name of a DAG"),
        (("a.cwl",), ["a.cwl", "--dag", "cwl-runner", "--replace"], "'cwl-runner' is no name of a DAG"),
        (("a.cwl",), ["a.cwl", "--dag", "other", "--replace"], "The DAG 'other' is of somebody.py: give another name"),
        (("a.cwl",), ["a.cwl", "--dag", "known"], "There is a DAG 'known': give --replace"),
        (("a.cwl",), ["a.cwl", "--dag", "folder"], "/folder is there: give --replace"),
    ],
)
def test_what_is_in_the_way_is_named(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    there: tuple[str, ...],
    arguments: list[str],
    why: str,
) -> None:
    for name in there:
        shell.write(name)
    (shell.dags / "folder").mkdir()
    (shell.dags / "folder/dag.py").touch()
    shell.api.answer("GET /dags/known", (200, {}))
    shell.api.answer("GET /dags/folder", (404, {}))
    shell.api.answer("GET /dags/other", (200, {"relative_fileloc": "somebody.py"}))
    monkeypatch.chdir(shell.home)
    assert add.main(arguments) == 1
    assert why in capsys.readouterr().err
    assert [file.name for file in shell.dags.rglob("*") if file.is_file()] == ["dag.py"]


def old_dag(shell: Shell) -> Path:
    """Make the folder of a DAG that is there."""
    folder = shell.dags / "tool"
    for name in ("old.cwl", "__pycache__/dag.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_what_was_there_is_replaced_on_demand_and_kept_for_a_time(shell: Shell) -> None:
    folder = old_dag(shell)
    shell.knows("tool")
    assert add.main(["--replace", str(shell.write("tool.cwl"))]) == 0
    assert sorted(file.name for file in folder.iterdir()) == ["dag.py", "document"]
    (kept,) = (shell.host.places.inputs / "cwl-runner/carol/replaced").iterdir()
    assert kept.name.startswith("tool-")
    assert (kept / "old.cwl").exists()


@pytest.mark.parametrize("there", [False, True])
def test_what_airflow_cannot_read_is_not_left_there(
    shell: Shell, capsys: pytest.CaptureFixture[str], there: bool
) -> None:
    folder = old_dag(shell) if there else None
    shell.api.answer("GET /dags/tool", (404, {}))
    errors = [
        {"filename": "tool/dag.py", "stack_trace": "of the one before", "timestamp": "2020-01-01T00:00:00Z"},
        {"filename": "tool/dag.py", "stack_trace": "no queue holds it", "timestamp": "2999-01-01T00:00:00Z"},
    ]
    shell.api.answer("GET /importErrors", (200, {"import_errors": errors}))
    assert add.main(["--replace", str(shell.write("tool.cwl"))]) == 1
    assert capsys.readouterr().err == "no queue holds it\n"
    if folder:
        assert sorted(file.name for file in folder.iterdir()) == ["__pycache__", "old.cwl"]
    else:
        assert list(shell.dags.iterdir()) == []


def test_what_cannot_be_copied_changes_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = old_dag(shell)
    shell.api.answer("GET /dags/tool", (404, {}))

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(adding, "place_file", full)
    assert add.main(["--replace", str(shell.write("tool.cwl"))]) == 1
    assert sorted(file.name for file in folder.iterdir()) == ["__pycache__", "old.cwl"]


def test_a_document_that_is_none_is_refused_with_its_line(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    document = shell.write("tool.cwl", "cwlVersion: v1.2\nclass: CommandLineTool\ninputs: {}\noutputs: {}\nbase: a\n")
    assert add.main([str(document)]) == 1
    assert "tool.cwl:5:1" in capsys.readouterr().err


def test_a_url_is_read_where_it_is(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "https://example.org/flows/align.cwl#main"
    tool = adding.load_document(str(shell.write("tool.cwl")), adding.own_gate(shell.host.places, "a"))
    about = adding.describe_document(tool.process)
    shell.api.answer("GET /dags/align", (404, {}))
    document = adding.NewDocument(source, "align", adding.LoadedDocument(None, {}), about)  # type: ignore[arg-type]
    with adding.written_dag(shell.host, document, replaces=False) as file:
        assert [each.name for each in file.parent.iterdir()] == ["dag.py"]
        assert f"workflow={source!r}" in file.read_text()


def test_logs_are_those_of_what_failed_or_is_named(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = [
        {"task_id": "one", "map_index": -1, "state": "success", "try_number": 1},
        {"task_id": "two", "map_index": 0, "state": "failed", "try_number": 2},
    ]
    run = "/dags/a/dagRuns/run"
    shell.api.answer(f"GET {run}/taskInstances", (200, {"task_instances": tasks, "total_entries": 2}))
    for task, number in (("one", 1), ("two", 2), ("two", 1)):
        log = {"content": [{"event": f"{task} said in try {number}"}]}
        shell.api.answer(f"GET {run}/taskInstances/{task}/logs/{number}", (200, log))
    for arguments, said in (
        ([], "two said in try 2\n"),
        (["one"], "one said in try 1\n"),
        (["two", "--job", "0", "--try", "1"], "two said in try 1\n"),
    ):
        assert logs.main(["a", "run", *arguments]) == 0
        assert capsys.readouterr().out == said
    assert logs.main(["a", "run", "three"]) == 1
    assert capsys.readouterr().err == "The run has one, two.\n"


def test_a_run_is_stopped_by_the_cwl_api(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(host, "STOPPING", "/api/v2/stop")
    monkeypatch.setenv("AIRFLOW_CONFIG", str(shell.home / "airflow.cfg"))
    monkeypatch.setenv("CWL_AIRFLOW_LOGIN", str(shell.write("socket")))
    shell.api.answer("GET /dags/a/dagRuns/run", (200, {"state": "running"}), (404, {}))
    shell.api.answer("POST /stop", (200, {}))
    assert stop.main(["a", "run"]) == 0
    (body,) = [body for question, body in shell.api.requests if question == "POST /stop"]
    assert body["conf"] == {"remove_dag_id": "a", "remove_run_id": "run"}
    assert stop.main(["a", "run"]) == 0
    assert capsys.readouterr().out == "Stopped and removed.\nThere is no run 'run' of DAG 'a'.\n"
    with pytest.raises(SystemExit):
        stop.main(["a", "run", "--gone", "host"])
