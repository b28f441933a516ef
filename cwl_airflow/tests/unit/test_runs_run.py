"""A run a task at a time: what is between the tasks, what a retry finds, how it fails."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from begun import SAY, begin, scattered, shell
from cwl_airflow.containers import ContainerEngine
from cwl_airflow.runs.executor import StepExecutor
from cwl_airflow.runs.inputs import begin_run
from cwl_airflow.runs.layout import RunLayout
from cwl_airflow.runs.outputs import collect_outputs, run_statistics
from cwl_airflow.runs.processes import remove_noted_containers
from cwl_airflow.runs.run import CWLRun
from cwl_airflow.runs.steps import run_scatter_share, run_step, share_out_scatter
from cwltool.errors import WorkflowException
from gates import PROJECT, open_gate


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Return a function that makes a run of a document that was begun."""
    return functools.partial(begin, tmp_path)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("dotproduct", ["a x\n", "b y\n", "c z\n"]),
        ("flat_crossproduct", [f"{one} {two}\n" for one in "abc" for two in "xyz"]),
        ("nested_crossproduct", [[f"{one} {two}\n" for two in "xyz"] for one in "abc"]),
    ],
)
@pytest.mark.parametrize("in_task", [1, 100])
def test_the_jobs_of_a_scattered_step_in_tasks_of_their_own(
    make: Any, method: str, expected: Any, in_task: int
) -> None:
    made = make(scattered(method, one="abc", two="xyz"), {"one": list("abc"), "two": list("xyz")})
    shares = share_out_scatter(made, "say", "say", in_task, 2)
    jobs = 3 if method == "dotproduct" else 9
    assert shares == ([] if in_task == 100 else [[0, -(-jobs // 2)], [-(-jobs // 2), jobs]])
    for share in reversed(shares):
        run_scatter_share(made, "say", "say", share, StepExecutor(2, 1024))
    run_step(made, "say", "say", StepExecutor(2, 1024))
    assert collect_outputs(made, made.layout.folder.parent / "out") == {"said": expected}


def test_the_last_step_of_a_chain_knows_the_one_before(make: Any, tmp_path: Path) -> None:
    add = {
        "class": "ExpressionTool",
        "inputs": {"number": "int"},
        "outputs": {"sum": "int"},
        "expression": "${ return {sum: inputs.number + 1}; }",
    }
    steps = {
        f"s{n}": {"run": add, "in": {"number": f"s{n - 1}/sum" if n else "number"}, "out": ["sum"]} for n in range(4)
    }
    document = {
        "class": "Workflow",
        "requirements": {"InlineJavascriptRequirement": {}},
        "inputs": {"number": "int"},
        "outputs": {"sum": {"type": "int", "outputSource": "s3/sum"}},
        "steps": steps,
    }
    made = make(document, {"number": 1})
    for name in steps:
        assert run_step(made, name, name, StepExecutor(1, 1024)) == "success"
    assert collect_outputs(made, tmp_path / "out") == {"sum": 5}


def test_what_is_updated_in_place_stays_one_file(tmp_path: Path) -> None:
    document = PROJECT / "tests/conformance/documents/inplace-update.cwl"
    made = CWLRun(str(document), RunLayout(tmp_path / "run"), open_gate(tmp_path), {})
    begin_run(made, {}, str(tmp_path))
    for name in ("make", "add", "list"):
        assert run_step(made, name, name, StepExecutor(1, 1024)) == "success"
    outputs = collect_outputs(made, tmp_path / "out")
    assert outputs["before"] == outputs["after"]
    assert [file["path"] for file in outputs["before"]] == [str(tmp_path / "out/added.txt")]
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["added.txt"]


def test_numbers_reach_the_tool_as_with_cwltool(make: Any, tmp_path: Path) -> None:
    tool = {**SAY, "inputs": {"number": {"type": "float", "inputBinding": {}}}}
    made = make(tool, {"number": 0.00001})
    run_step(made, None, "say", StepExecutor(1, 1024))
    assert "0.00001\n" in Path(collect_outputs(made, tmp_path / "out")["said"]["path"]).read_text(encoding="utf-8")


def test_an_input_may_be_called_id(make: Any, tmp_path: Path) -> None:
    made = make({**SAY, "inputs": {"id": {"type": "string", "inputBinding": {}}}}, {"id": "mine"})
    run_step(made, None, "say", StepExecutor(1, 1024))
    assert Path(collect_outputs(made, tmp_path / "out")["said"]["path"]).read_text(encoding="utf-8") == "mine\n"


def test_overrides_of_a_job_hold(make: Any, tmp_path: Path) -> None:
    tool = shell("echo $WORD", stdout="said.txt", outputs={"said": {"type": "stdout"}})
    requirement = {"EnvVarRequirement": {"envDef": {"WORD": "over"}}}
    made = make(tool, {"cwltool:overrides": {"document.cwl": {"requirements": requirement}}})
    run_step(made, None, "say", StepExecutor(1, 1024))
    assert Path(collect_outputs(made, tmp_path / "out")["said"]["path"]).read_text(encoding="utf-8") == "over\n"


def test_secondary_files_of_an_input_are_found(make: Any, tmp_path: Path) -> None:
    for name in ("a.bam", "a.bam.bai"):
        (tmp_path / name).touch()
    document = {
        "class": "Workflow",
        "inputs": {"reads": {"type": "File", "secondaryFiles": [".bai"]}},
        "outputs": {"same": {"type": "File", "outputSource": "reads"}},
        "steps": {},
    }
    made = make(document, {"reads": {"class": "File", "path": "a.bam"}})
    found = collect_outputs(made, tmp_path / "out")["same"]
    assert [file["basename"] for file in found["secondaryFiles"]] == ["a.bam.bai"]


def test_a_file_in_a_folder_that_is_an_output_stays_one(make: Any, tmp_path: Path) -> None:
    outputs = {
        "folder": {"type": "Directory", "outputBinding": {"glob": "d"}},
        "file": {"type": "File", "outputBinding": {"glob": "d/a"}},
    }
    made = make(shell("mkdir d; echo a > d/a; ln -s a d/b", outputs=outputs))
    run_step(made, None, "tool", StepExecutor(1, 1024))
    collect_outputs(made, tmp_path / "out")
    assert sorted(str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*")) == [
        "d",
        "d/a",
        "d/b",
    ]
    assert (tmp_path / "out/d/b").read_text(encoding="utf-8") == "a\n"


def test_after_a_failure_no_more_jobs_start(make: Any, tmp_path: Path) -> None:
    document = scattered("dotproduct", word="")
    document["steps"]["say"]["run"]["baseCommand"] = ["sh", "-c", f'echo "$0" >> {tmp_path}/ran; exit 1']
    made = make(document, {"word": list("abcdef")})
    with pytest.raises(WorkflowException):
        run_step(made, "say", "say", StepExecutor(1, 1024))
    assert (tmp_path / "ran").read_text(encoding="utf-8") == "a\n"


@pytest.mark.parametrize(("words", "status"), [("aba", "success"), ("bb", "skipped")])
def test_a_step_is_skipped_if_all_its_jobs_are(make: Any, tmp_path: Path, words: str, status: str) -> None:
    document = scattered("dotproduct", word="")
    document["steps"]["say"]["when"] = "$(inputs.word != 'b')"
    document["outputs"] = {}
    assert run_step(make(document, {"word": list(words)}), "say", "say", StepExecutor(1, 1024)) == status


def test_the_containers_of_another_task_are_left_alone(make: Any, tmp_path: Path) -> None:
    """With a stand-in for the engine that notes what it is to remove: the real one is for the tests of the host."""
    engine = tmp_path / "engine"
    engine.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n', encoding="utf-8")
    engine.chmod(0o755)
    made = make(shell("exit 1"))
    mine = CWLRun(
        made.source,
        RunLayout(made.layout.folder),
        open_gate(made.layout.folder.parent),
        {},
        ContainerEngine(str(engine)),
    )
    noted = made.layout.folder / "containers" / socket.gethostname()
    for folder in (noted / "step-mine", noted / "step-other", made.layout.folder / "containers/elsewhere/step-mine"):
        folder.mkdir(parents=True)
        (folder / "1.cid").write_text(f"{folder.name}-1", encoding="utf-8")
    with pytest.raises(WorkflowException):
        run_step(mine, None, "mine", StepExecutor(1, 1024))
    assert (tmp_path / "asked").read_text(encoding="utf-8") == "rm --force step-mine-1\n"
    (noted / "step-mine").mkdir(exist_ok=True)
    (noted / "step-mine/2.cid").write_text("mine-2", encoding="utf-8")
    mine.stop()
    assert (tmp_path / "asked").read_text(encoding="utf-8").splitlines()[1:] == ["rm --force mine-2"]
    assert [folder.name for folder in noted.iterdir()] == ["step-other"]
    assert (made.layout.folder / "containers/elsewhere/step-mine/1.cid").exists()


def test_a_container_that_could_not_be_removed_stays_noted(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    for said, left in (("Cannot connect to the daemon", ["1.cid"]), ("Error: No such container: one", [])):
        engine.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n", encoding="utf-8")
        engine.chmod(0o755)
        (tmp_path / "noted").mkdir(exist_ok=True)
        (tmp_path / "noted/1.cid").write_text("one", encoding="utf-8")
        remove_noted_containers(tmp_path / "noted", ContainerEngine(str(engine)))
        assert [file.name for file in (tmp_path / "noted").glob("*")] == left


def test_jobs_that_ran_do_not_run_again(make: Any, tmp_path: Path) -> None:
    document = scattered("dotproduct", word="")
    document["steps"]["say"]["run"]["baseCommand"] = ["sh", "-c", f'echo "$0" >> {tmp_path}/ran; echo "$0"']
    made = make(document, {"word": list("abcd")})
    for share in share_out_scatter(made, "say", "say", 1, 4):
        run_scatter_share(made, "say", "say", share, StepExecutor(1, 1024))
    run_step(made, "say", "say", StepExecutor(1, 1024))
    assert (tmp_path / "ran").read_text(encoding="utf-8").split() == list("abcd")
    assert share_out_scatter(made, "say", "say", 1, 1) == [[0, 4]]  # cleared: they do
    run_step(made, "say", "say", StepExecutor(1, 1024))
    assert sorted((tmp_path / "ran").read_text(encoding="utf-8").split()) == sorted(2 * "abcd")


def test_collecting_may_be_tried_again(make: Any, tmp_path: Path) -> None:
    made = make({**SAY, "requirements": {}}, {"word": "hello"})
    run_step(made, None, "say", StepExecutor(1, 1024))
    for place in ("first", "second"):
        outputs = collect_outputs(made, tmp_path / place)
        assert outputs["said"]["location"] == (tmp_path / place / "said.txt").as_uri()
        assert (tmp_path / place / "said.txt").read_text(encoding="utf-8") == "hello\n"
    assert run_statistics(made)["steps"]["say"]["disk"] == len("hello\n")


def test_a_file_that_is_two_outputs_stays_one(make: Any, tmp_path: Path) -> None:
    steps = {"say": {"run": SAY, "in": {"word": "word"}, "out": ["said"]}}
    outputs = {name: {"type": "File", "outputSource": "say/said"} for name in ("one", "two")}
    made = make({"class": "Workflow", "inputs": {"word": "string"}, "outputs": outputs, "steps": steps}, {"word": "a"})
    run_step(made, "say", "say", StepExecutor(1, 1024))
    found = collect_outputs(made, tmp_path / "out")
    assert found["one"]["location"] == found["two"]["location"] == (tmp_path / "out/said.txt").as_uri()
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["said.txt"]


def test_a_folder_keeps_what_it_lists(make: Any, tmp_path: Path) -> None:
    document = shell("mkdir -p d/e; echo a > d/a; echo b > d/e/b", outputs={
        "found": {"type": "Directory", "outputBinding": {"glob": "d", "loadListing": "deep_listing"}}})  # fmt: skip
    made = make(document)
    run_step(made, None, "tool", StepExecutor(1, 1024))
    found = collect_outputs(made, tmp_path / "out")["found"]
    assert found["location"] == (tmp_path / "out/d").as_uri()
    assert (tmp_path / "out/d/e/b").read_text(encoding="utf-8") == "b\n"
    for entry in found.get("listing", []):
        assert entry["location"].startswith(found["location"])


def test_an_input_that_is_an_output_is_copied(make: Any, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("x", encoding="utf-8")
    document = {
        "class": "Workflow",
        "inputs": {"file": "File"},
        "outputs": {"same": {"type": "File", "outputSource": "file"}},
        "steps": {},
    }
    made = make(document, {"file": {"class": "File", "path": "in.txt"}})
    collect_outputs(made, tmp_path / "out")
    (tmp_path / "out/in.txt").write_text("changed", encoding="utf-8")
    assert (tmp_path / "in.txt").read_text(encoding="utf-8") == "x"


def test_a_retry_starts_clean(make: Any, tmp_path: Path) -> None:
    (tmp_path / "wrong").touch()
    script = f"ls -A; echo half > half.txt; [ ! -e {tmp_path}/wrong ]"
    made = make(shell(script, stdout="listed", outputs={"listed": {"type": "stdout"}}))
    with pytest.raises(WorkflowException):
        run_step(made, None, "tool", StepExecutor(1, 1024))
    assert not made.layout.step("tool").exists()
    (tmp_path / "wrong").unlink()
    run_step(made, None, "tool", StepExecutor(1, 1024))
    outputs = collect_outputs(made, tmp_path / "out")
    assert Path(outputs["listed"]["location"].removeprefix("file://")).read_text(encoding="utf-8") == "listed\n"
    assert not list((tmp_path / "run/scratch").iterdir())


def test_a_failure_has_the_command_and_the_last_lines(make: Any) -> None:
    made = make(shell("seq 100; echo wrong >&2; exit 3"))
    jobs = StepExecutor(1, 1024)
    with pytest.raises(WorkflowException):
        run_step(made, None, "tool", jobs)
    (failure,) = jobs.failures
    assert failure.command.startswith("sh -c ")
    assert failure.reason == "exit status 3"
    assert failure.lines[-1] == "wrong"
    assert failure.lines[0] == "82"


def test_a_failure_shows_a_stream_that_the_document_catches(make: Any) -> None:
    made = make(shell("echo wrong >&2; exit 1", stderr="log.txt", outputs={"log": {"type": "stderr"}}))
    jobs = StepExecutor(1, 1024)
    with pytest.raises(WorkflowException):
        run_step(made, None, "tool", jobs)
    assert jobs.failures[0].lines == ["wrong"]


def test_a_missing_output_is_the_reason(make: Any) -> None:
    made = make(shell("true", outputs={"file": {"type": "File", "outputBinding": {"glob": "nothing.txt"}}}))
    jobs = StepExecutor(1, 1024)
    with pytest.raises(WorkflowException):
        run_step(made, None, "tool", jobs)
    assert "nothing.txt" in jobs.failures[0].reason


def measured(made: CWLRun, granted: StepExecutor, folder: Path) -> int:
    """Run the step of a workflow and return how many of its jobs ran at a time at most."""
    run_step(made, "say", "say", granted)
    times = [line.split() for file in folder.iterdir() for line in file.read_text(encoding="utf-8").splitlines()]
    running = most = 0
    for _, change in sorted((float(when), int(change)) for when, change in times):
        running += change
        most = max(most, running)
    return most


@pytest.mark.full
@pytest.mark.parametrize(("cores", "ram", "most"), [(2, 4096, 2), (8, 2 * 256, 2), (0.5, 64, 1), (4, 4096, 4)])
def test_jobs_stay_within_what_is_granted(make: Any, tmp_path: Path, cores: float, ram: float, most: int) -> None:
    (tmp_path / "times").mkdir()
    document = scattered("dotproduct", word="")
    script = f'exec > {tmp_path}/times/"$0"; echo $(date +%s.%N) 1; sleep 0.4; echo $(date +%s.%N) -1'
    document["steps"]["say"]["run"] |= {
        "baseCommand": ["sh", "-c", script],
        "requirements": {"ResourceRequirement": {"coresMin": 1, "ramMin": 256}},
        "outputs": {},
    }
    document["steps"]["say"]["out"] = []
    document["outputs"] = {}
    made = make(document, {"word": list("abcdef")})
    assert measured(made, StepExecutor(cores, ram), tmp_path / "times") == most


STUBBORN = """\
trap '' TERM INT HUP
(trap '' TERM INT HUP; setsid sh -c 'trap "" TERM; echo $$ > {folder}/far; sleep 1000' & )
echo $$ > {folder}/near
sleep 1000; sleep 1000
"""


@pytest.mark.full
def test_stopping_leaves_nothing_whatever_it_traps(make: Any, tmp_path: Path) -> None:
    made = make(shell(STUBBORN.format(folder=tmp_path)))
    script = f"""\
import os, signal, sys
from pathlib import Path
from cwl_airflow.runs.executor import StepExecutor
from cwl_airflow.runs.layout import RunLayout
from cwl_airflow.runs.processes import end_children
from cwl_airflow.runs.run import CWLRun
from cwl_airflow.runs.steps import run_step
from gates import open_gate
def end(*_):
    end_children()
    raise SystemExit(7)
signal.signal(signal.SIGTERM, end)
folder = Path({str(made.layout.folder)!r})
run = CWLRun({made.source!r}, RunLayout(folder), open_gate(folder.parent), {{}})
run_step(run, None, "tool", StepExecutor(1, 1024))
"""
    task = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": ":".join(sys.path)})
    deadline = time.monotonic() + 60
    while not ((tmp_path / "near").exists() and (tmp_path / "far").exists()) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.2)
    pids = [int((tmp_path / name).read_text(encoding="utf-8")) for name in ("near", "far")]
    task.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert task.wait(timeout=30) == 7
    assert time.monotonic() - began < 10
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_orphans_are_adopted() -> None:
    script = """\
import subprocess, time, psutil
from cwl_airflow.runs.processes import adopt_orphans, end_children
adopt_orphans()
subprocess.run(["sh", "-c", "sleep 1000 > /dev/null & "])
deadline = time.monotonic() + 10  # it is called sh until it has become sleep
while (names := [child.name() for child in psutil.Process().children(recursive=True)]) == ["sh"]:
    assert time.monotonic() < deadline
    time.sleep(0.01)
print(names)
end_children()
print(psutil.Process().children(recursive=True))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["['sleep']", "[]"]
