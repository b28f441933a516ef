"""Stopping a run on a host: which processes, containers and folders are its, and that they are gone."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from cwl_airflow.gate import Places
from cwl_airflow.gate.places import LOCK
from cwl_airflow.stopping import host_agent
from cwl_airflow.stopping.celery_command import HostAgentProcess
from cwl_airflow.stopping.coordinator import RunStopper, name_remaining
from cwl_airflow.stopping.host_agent import end_run, remove_run_data
from cwl_airflow.stopping.model import (
    Deadline,
    EndTimes,
    JobFolders,
    NotStopped,
    RunReference,
    RunRows,
    StartedTask,
    StopRequest,
    WorkerAnswer,
    WorkerAnswers,
)
from cwl_airflow.stopping.processes import RunProcesses, end_processes, find_ancestors, is_alive, read_title
from cwl_airflow.stopping.stoppable_run import StoppableRun
from gates import places

DAG, RUN = "align", "manual__2026-01-01T00:00:00+00:00"
#: Ids of the task instances of the run, and of one of another run.
TASKS = ["019c2f3e-0000-7000-8000-000000000001", "019c2f3e-0000-7000-8000-000000000002"]
OTHER = "019c2f3e-0000-7000-8000-00000000000a"
RUNNER = f"airflow worker -- {TASKS[0]}"
DEAF = "trap '' TERM INT HUP\n"
CONTAINER, OTHER_CONTAINER = "0123456789abcdef", "fedcba9876543210"

Start = Callable[..., psutil.Process]


def locate(dag_id: str, run_id: str, site: Places, job: JobFolders, reports: list[str]) -> StoppableRun:
    """Return a run with its folders."""
    return StoppableRun.locate(RunReference(dag_id, run_id, job, reports, TASKS), site)


@pytest.fixture
def run(tmp_path: Path) -> StoppableRun:
    """Return a run whose folder is there."""
    made = locate(DAG, RUN, places(tmp_path), {}, [])
    made.folders[0].mkdir(parents=True)
    return made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a script in a process with a title, and waits until it is at its line `ready`."""
    started: list[subprocess.Popen[str]] = []

    def begin(title: str, script: str, cwd: Path = Path("/")) -> psutil.Process:
        ready = tmp_path / f"ready-{len(started)}"
        command = ["bash", "-c", 'exec -a "$0" bash', title]
        program = subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE, text=True, start_new_session=True)
        started.append(program)
        assert program.stdin
        with program.stdin as stream:
            stream.write(script.replace("ready", f"touch {ready}"))
        wait_for(ready.exists)
        return psutil.Process(program.pid)

    yield begin
    for program in started:
        program.kill()
        program.wait()


def wait_for(found: Callable[[], Any]) -> Any:
    """Wait until something is found, and return it."""
    deadline = time.monotonic() + 60
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


@pytest.mark.parametrize(
    ("title", "mine"),
    [
        (RUNNER, True),
        (f"airflow worker -- {TASKS[1]}", True),
        (f"{RUNNER}  ", True),  # what is left of a longer title
        (f"airflow worker -- {OTHER}", False),
        (f"airflow worker -- LocalExecutor: {TASKS[0]}", False),
        ("airflow worker -- ", False),
        (f"airflow supervisor: {TASKS[0]}", False),
        (f"airflow supervisor: {OTHER}", False),
        (f"airflow tasks states-for-dag-run {DAG} {RUN}", False),
        (f"airflow dags trigger {DAG} --run-id {RUN}", False),
        (f"cwl-airflow-stop {DAG} {RUN}", False),
        (TASKS[0], False),
        ("", False),
    ],
)
def test_a_task_is_known_by_its_title(run: StoppableRun, title: str, mine: bool) -> None:
    assert run.is_runner(title) is mine


def test_a_task_that_has_no_title_of_its_own_yet_is_ended_and_its_supervisor_is_not(
    run: StoppableRun, start: Start, tmp_path: Path
) -> None:
    """The supervisor is a process of Celery's, which has the title of its last task until it gets another."""
    fork = f"(echo $BASHPID > {tmp_path}/forked; sleep 1000; sleep 1000) &\n"
    supervisor = start(f"airflow supervisor: {TASKS[0]}", f"{fork}ready\nwait; sleep 1000; sleep 1000")
    idle = start(f"airflow supervisor: {TASKS[1]}", "ready\nsleep 1000; sleep 1000")
    other = start(f"airflow worker -- {OTHER}", "ready\nsleep 1000; sleep 1000")
    forked = psutil.Process(int(wait_for(lambda: read_if_there(tmp_path / "forked"))))
    assert forked.cmdline() == supervisor.cmdline()
    assert end_run(run, "here", EndTimes(grace=60, limit=60)) == []
    assert [is_alive(process) for process in (forked, supervisor, idle, other)] == [False, True, True, True]


def read_if_there(file: Path) -> str:
    """Return what is in a file; nothing if there is none."""
    return file.read_text(encoding="utf-8") if file.exists() else ""


def test_a_run_has_the_folders_that_its_job_and_its_dispatcher_name(tmp_path: Path) -> None:
    report = tmp_path / "own.json"
    report.write_text(json.dumps({"tmp_folder": str(tmp_path / "own")}), encoding="utf-8")
    site = places(tmp_path)
    (site.inputs).mkdir(parents=True)
    (site.inputs / "job.yml").write_text(f"tmp_folder: {tmp_path}/else", encoding="utf-8")

    def found(run_id: str, job: Any, reports: list[str]) -> list[str]:
        made = locate("d", run_id, site, job, reports)
        return [str(folder.relative_to(tmp_path)) for folder in made.folders]

    own = "site/cwl/tmp/d/r"
    assert found("r", {}, []) == [own]
    assert found("r", {"tmp_folder": "d/sub"}, []) == [own]
    assert found("r", "job.yml", []) == ["else/.cwl-airflow-runs/d/r"]
    assert found("..", "no.yml", [str(tmp_path / "none.json")])[0].startswith("site/cwl/tmp/d/__-")
    # Nothing of the engine is there: it may be anything.
    (tmp_path / "own").mkdir()
    assert found("r", {}, [str(report)]) == [own]
    (tmp_path / "own/lock").touch()
    assert found("r", {}, [str(report)]) == [own, "own"]
    assert found("r", {}, [str(tmp_path / own / "report.json"), str(tmp_path / "none.json"), str(report)]) == [
        own,
        "own",
    ]


def test_no_folder_is_removed_that_the_run_may_not_write(tmp_path: Path) -> None:
    site = places(tmp_path)
    for folder in (site.dags, site.tmp / "other"):
        made = locate("d", "r", site, {"tmp_folder": str(folder)}, [])
        assert made.folders == (site.tmp / "d/r",)
    report = tmp_path / "report.json"
    for folder, mine in ((site.tmp / "other/r", False), (site.dags, False), (site.tmp / "d/elsewhere", True)):
        folder.mkdir(parents=True)
        (folder / LOCK).touch()
        report.write_text(json.dumps({"tmp_folder": str(folder)}), encoding="utf-8")
        made = locate("d", "r", site, {}, [str(report)])
        assert made.folders == ((site.tmp / "d/r", folder) if mine else (site.tmp / "d/r",))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "5",
        '{"tmp_folder": 5}',
        '{"tmp_folder": "here"}',
        "\ud800",
        pytest.param("[" * 10**5, id="deep"),
    ],
)
def test_a_report_that_names_no_folder_is_left_alone(run: StoppableRun, tmp_path: Path, content: str) -> None:
    report = tmp_path / "report.json"
    report.write_bytes(content.encode(errors="surrogatepass"))
    assert locate(DAG, RUN, places(tmp_path), {}, [str(report)]).folders == run.folders


@pytest.mark.full
def test_a_task_that_is_deaf_is_killed_with_all_it_started(run: StoppableRun, start: Start, tmp_path: Path) -> None:
    far = f"setsid sh -c {shlex.quote(DEAF + f'echo $$ > {tmp_path}/far; sleep 1000; sleep 1000')} &\n"
    task = start(RUNNER, DEAF + far + "ready\nsleep 1000; sleep 1000")
    wait_for(lambda: read_if_there(tmp_path / "far"))
    all_of_it = [task, *task.children(recursive=True)]
    assert len(all_of_it) >= 3
    began = time.monotonic()
    assert end_run(run, "here", EndTimes(grace=1, limit=60)) == []
    assert time.monotonic() - began >= 1
    assert [process for process in all_of_it if is_alive(process)] == []


def test_a_task_may_end_itself(
    run: StoppableRun, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    task = start(RUNNER, f"trap 'sleep 0.5; touch {tmp_path}/tidied; exit' TERM\nready\nwhile :; do sleep 0.1; done")
    assert end_run(run, "here", EndTimes(grace=60, limit=60)) == []
    assert (tmp_path / "tidied").exists()
    assert caplog.messages[0] == f"Asking process {task.pid} to end"


@pytest.mark.full
def test_what_a_killed_task_left_is_killed_and_nothing_else(
    run: StoppableRun, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (run.folders[0].parent / f"{run.folders[0].name}2").mkdir()
    others = [
        start(f"airflow worker -- {OTHER}", "ready\nsleep 1000"),
        start("tool", "ready\nsleep 1000", run.folders[0].parent / f"{run.folders[0].name}2"),
        start("tool", f"exec env DATA={run.folders[0]} bash -c 'ready; sleep 1000; sleep 1000'"),
    ]
    left = [
        start("tool", f"{DEAF}ready\nsleep 1000; sleep 1000", run.folders[0]),
        start("tool", f"{DEAF}exec > {run.folders[0]}/out\nready\nsleep 1000; sleep 1000"),
        start("tool", f"exec env TMPDIR={run.folders[0]}/tmp bash -c 'ready; sleep 1000; sleep 1000'"),
    ]
    assert end_run(run, "here", EndTimes(grace=60, limit=60)) == []
    assert not any(is_alive(process) for process in left)
    assert all(is_alive(process) for process in others)
    assert (run.folders[0] / "failed").exists()
    assert {f"Killing process {process.pid}" for process in left} <= set(caplog.messages)


def test_a_process_that_ends_meanwhile_is_no_error() -> None:
    with subprocess.Popen(["true"]) as program:
        process = psutil.Process(program.pid)
        wait_for(lambda: process.status() == psutil.STATUS_ZOMBIE)
        assert not is_alive(process)
        assert read_title(process) == ""
    assert not is_alive(process)
    assert (read_title(process), find_ancestors(process)) == ("", [])
    ended = RunProcesses({process}, {process})
    assert (ended.find_leaders(), ended.find_orphans()) == ([], [])
    for is_late in (False, True):
        end_processes(RunProcesses({process}, set()), set(), is_late)
        end_processes(RunProcesses(set(), {process}), set(), is_late)


def test_a_task_is_asked_by_the_process_that_waits_for_it(run: StoppableRun, start: Start, tmp_path: Path) -> None:
    task = f"trap 'touch {tmp_path}/asked' TERM; touch {tmp_path}/begun; while :; do sleep 0.1; done"
    waiter = f"""
        trap 'touch {tmp_path}/tidied; kill -KILL $!; exit' TERM
        (exec -a {shlex.quote(RUNNER)} bash -c {shlex.quote(task)}) &
        while [ ! -e {tmp_path}/begun ]; do sleep 0.1; done
        ready
        while :; do sleep 0.1; done
    """
    start(RUNNER, waiter)
    assert end_run(run, "here", EndTimes(grace=60, limit=60)) == []
    assert (tmp_path / "tidied").exists()
    assert not (tmp_path / "asked").exists()


@pytest.mark.full
def test_what_does_not_end_in_time_is_asked_once_and_named(run: StoppableRun, start: Start, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    task = start(RUNNER, f"trap 'echo again >> {asked}' TERM\nready\nwhile :; do sleep 0.1; done")
    left = end_run(run, "here", EndTimes(grace=20, limit=1))
    assert left[0] == f"process {task.pid} ({RUNNER}) on here"
    wait_for(asked.exists)
    assert asked.read_text(encoding="utf-8") == "again\n"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an engine's stand-in, with a file for each container: the real one is for the host."""
    folder = tmp_path / "engine"
    folder.mkdir()
    script = f"""#!/bin/sh
cd {folder}
case $1 in
  ps) ls | grep -v -e docker -e deaf || : ;;
  inspect) shift 3; for each; do printf '%s\\t%s\\n' $each $(cat $each); done ;;
  rm) [ ! -e deaf ] && rm $3 ;;
esac
"""
    (folder / "docker").write_text(script, encoding="utf-8")
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(host_agent, "ENGINES", ("docker", "no-such-engine"))
    return folder


def test_containers_are_found_by_their_notes_and_by_their_folders(
    run: StoppableRun, engine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    mine = run.folders[0] / "containers/here/jobs-map/0"
    for folder, container in ((mine, "noted"), (run.folders[0] / "containers/there/step-map", OTHER_CONTAINER)):
        folder.mkdir(parents=True)
        (folder / "1.cid").write_text(container, encoding="utf-8")
    (engine / "noted").write_text("/somewhere", encoding="utf-8")
    (engine / "unnoted").write_text(f"{run.folders[0]}/outputs/step-map/abc", encoding="utf-8")
    (engine / "foreign").write_text(f"{run.folders[0]}2/outputs", encoding="utf-8")
    assert end_run(run, "here", EndTimes(grace=1, limit=60)) == []
    assert sorted(file.name for file in engine.iterdir()) == ["docker", "foreign"]
    assert sorted(caplog.messages) == ["Removing container noted", "Removing container unnoted"]
    # The other host has to confirm its own.
    assert remove_run_data(run) == [f"container {OTHER_CONTAINER[:12]} on there, whose worker does not answer"]
    assert run.noted_containers() == {OTHER_CONTAINER: "there"}
    assert remove_run_data(run, ["there"]) == []


def note(run: StoppableRun, host: str, container: str) -> Path:
    """Note a container as a task does, and return the file."""
    file = run.folders[0] / "containers" / host / "step-map/1.cid"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(container, encoding="utf-8")
    return file


def test_a_note_says_which_container_is_where(run: StoppableRun) -> None:
    note(run, "here", f"{CONTAINER}\n")
    note(run, "there", "")  # an engine makes the file first
    note(run, "elsewhere", "").write_bytes(b"\xff")
    (run.folders[0] / "containers/stray").write_text(OTHER_CONTAINER, encoding="utf-8")
    assert run.noted_containers() == {CONTAINER: "here"}


@pytest.mark.full
def test_a_container_that_stays_is_named(run: StoppableRun, engine: Path, start: Start) -> None:
    (engine / "deaf").touch()
    (engine / CONTAINER).write_text(str(run.folders[0]), encoding="utf-8")
    noted = note(run, "here", CONTAINER)
    assert end_run(run, "here", EndTimes(grace=0, limit=0.5)) == [f"container {CONTAINER[:12]} on here"]
    assert noted.exists()
    task = start(RUNNER, "ready\nsleep 1000")
    left = end_run(run, "here", EndTimes(grace=0, limit=0))
    assert left[0] == f"process {task.pid} ({RUNNER}) on here"
    assert left[-1] == f"container {CONTAINER[:12]} on here"
    (engine / "deaf").unlink()
    assert end_run(run, "here", EndTimes(grace=0, limit=60)) == []
    assert not noted.exists()


def test_an_engine_that_does_not_answer_is_named_if_it_had_containers(run: StoppableRun, engine: Path) -> None:
    (engine / "docker").write_text("#!/bin/sh\necho no daemon >&2\nexit 1\n", encoding="utf-8")
    assert end_run(run, "here", EndTimes(grace=0, limit=0)) == []
    noted = note(run, "here", CONTAINER)
    assert end_run(run, "here", EndTimes(grace=0, limit=0)) == [
        "docker on here does not say which containers run: no daemon"
    ]
    assert noted.exists()


def test_an_engine_that_hangs_does_not_hold_up_the_worker(
    run: StoppableRun, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_agent, "ENGINE_TIMEOUT", 0.2)
    (engine / "docker").write_text("#!/bin/sh\nexec sleep 10\n", encoding="utf-8")
    note(run, "here", CONTAINER)
    (left,) = end_run(run, "here", EndTimes(grace=0, limit=0))
    assert left.startswith("docker on here does not say which containers run: ") and "timed out" in left


def test_data_is_removed_unless_a_task_works_in_it(run: StoppableRun) -> None:
    folder = run.folders[0]
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert remove_run_data(run) == [f"a task that works in {folder}"]
    assert remove_run_data(run) == []
    assert not folder.exists()
    assert folder.parent.exists()
    assert remove_run_data(run) == []


def test_data_that_cannot_be_removed_is_named(run: StoppableRun) -> None:
    folder = run.folders[0]
    folder.rmdir()
    folder.touch()
    (left,) = remove_run_data(run)
    assert left.startswith(f"data in {folder}: ") and "Not a directory" in left


def test_the_program_does_what_its_request_says_and_prints_what_is_left(
    run: StoppableRun, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process; the next test starts it as a worker does."""

    def ask(end: EndTimes | None = None, gone_hosts: tuple[str, ...] = ()) -> Any:
        request = StopRequest(RunReference(DAG, RUN, {}, [], TASKS), end, gone_hosts)
        content = {"request": request.to_json(), "places": places(tmp_path).to_json()}
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(content)))
        assert host_agent.main() == 0
        printed = capsys.readouterr()
        journal.append(printed.err)
        return json.loads(printed.out)

    journal: list[str] = []
    monkeypatch.setattr(logging.root, "handlers", [])  # as in a program of its own
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    monkeypatch.setattr(host_agent, "ENGINES", ())
    task = start(RUNNER, f"{DEAF}ready\nwhile :; do sleep 0.1; done")
    assert ask(EndTimes(grace=60, limit=0))[0] == f"process {task.pid} ({RUNNER}) on {socket.gethostname()}"
    assert ask(EndTimes(grace=0, limit=60)) == []
    assert not is_alive(task)
    assert f"stop: Killing process {task.pid}" in journal[-1].splitlines()
    note(run, "there", OTHER_CONTAINER)
    assert ask() == [f"container {OTHER_CONTAINER[:12]} on there, whose worker does not answer"]
    assert ask(gone_hosts=("there",)) == []
    assert not run.folders[0].exists()


def test_the_worker_asks_a_program_and_does_not_wait(
    run: StoppableRun, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    task = start(RUNNER, f"{DEAF}ready\nwhile :; do sleep 0.1; done")
    # The task is deaf: the program is at it until the test ends it.
    request = StopRequest(RunReference(DAG, RUN, {}, [], TASKS), EndTimes(grace=60, limit=60))
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "hush")
    agent = HostAgentProcess.start(request, places(tmp_path).to_json())
    assert "hush" not in psutil.Process(agent.program.pid).environ().values()
    assert agent.read_remaining() is None
    task.kill()
    assert wait_for(lambda: agent.read_remaining() is not None)
    assert agent.read_remaining() == []
    assert agent.read_remaining() == []
    removal = HostAgentProcess.start(StopRequest(request.run), places(tmp_path).to_json())
    assert wait_for(lambda: removal.read_remaining() is not None)
    assert removal.read_remaining() == []
    assert not run.folders[0].exists()


def test_a_program_that_breaks_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.devnull)
    agent = HostAgentProcess.start(StopRequest(RunReference(DAG, RUN, None, [], [])), {})
    assert wait_for(lambda: agent.read_remaining() is not None)
    (remaining,) = agent.read_remaining() or ()
    assert remaining.startswith("whatever it is: looking for it ended with 1")


def test_a_request_and_an_answer_are_the_same_after_their_way_as_json() -> None:
    run = RunReference(DAG, RUN, {"tmp_folder": "/a"}, ["/b.json"], TASKS)
    for request in (StopRequest(run, EndTimes(1, 2)), StopRequest(run, gone_hosts=("there",))):
        assert StopRequest.from_json(json.loads(json.dumps(request.to_json()))) == request
    for answer in (WorkerAnswer("here", None), WorkerAnswer("here", ["process 7"])):
        assert WorkerAnswer.from_json(json.loads(json.dumps(answer.to_json()))) == answer


class RowsInMemory:
    """The rows of a run, whose task ran on a host that is silent."""

    reference = RunReference(DAG, RUN, {"tmp_folder": "/a"}, ["/b.json"], TASKS)
    task = StartedTask("map", "silent", "celery-1")

    def __init__(self) -> None:
        """Hold the rows."""
        self.there = True

    def mark_failed(self, dag_id: str, run_id: str, /) -> RunRows | None:
        """Return what is there."""
        assert (dag_id, run_id) == (DAG, RUN)
        return RunRows([self.task], self.reference.job, self.reference.reports, TASKS) if self.there else None

    def remove_run(self, dag_id: str, run_id: str, /) -> None:
        """Remove the rows."""
        assert (dag_id, run_id) == (DAG, RUN)
        self.there = False


class WorkersInMemory:
    """Workers that answer what a test says, the same to each question after the last."""

    def __init__(self, *answers: WorkerAnswers, ended: Collection[str] = ()) -> None:
        """Keep the answers, and which tasks of Celery have ended."""
        self.answers = list(answers)
        self.ended = set(ended)
        self.asked: list[tuple[StopRequest, list[str] | None, int | None]] = []
        self.keys: list[str] = []

    def ask(
        self, key: str, request: StopRequest, /, *, destination: list[str] | None, expected: int | None
    ) -> WorkerAnswers:
        """Return the next answer."""
        assert len(self.keys) < 50, "it asks for ever"
        self.keys.append(key)
        self.asked.append((request, destination, expected))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def find_ended(self, celery_task_ids: Collection[str], /) -> set[str]:
        """Return those that have ended."""
        return self.ended & set(celery_task_ids)


def stop(
    rows: RowsInMemory,
    *answers: WorkerAnswers,
    gone: Collection[str] = (),
    grace: float = 0,
    passed: float = 0,
    ended: Collection[str] = (),
) -> bool:
    """Stop the run of some rows; by default the worker of another host than its task's answers.

    :param passed: how much of the time has passed, in seconds.
    """
    workers = WorkersInMemory(*(answers or ({"celery@other": WorkerAnswer("other", [])},)), ended=ended)
    return RunStopper(rows, workers).stop(DAG, RUN, gone, Deadline(time.monotonic() - passed, grace))


def test_a_run_is_not_stopped_while_a_host_that_had_some_is_silent() -> None:
    rows = RowsInMemory()
    for _ in range(2):
        with pytest.raises(NotStopped, match="task map on silent, whose worker does not answer"):
            stop(rows)
        assert rows.there
    assert stop(rows, ended=["celery-1"])
    assert not rows.there
    assert not stop(rows)


def test_a_host_that_is_gone_for_good_need_not_answer() -> None:
    rows = RowsInMemory()
    assert stop(rows, gone=["silent"])
    assert not rows.there


def test_without_any_worker_nobody_can_remove_the_data() -> None:
    rows = RowsInMemory()
    with pytest.raises(NotStopped, match="task map on silent, whose worker does not answer"):
        stop(rows, {}, ended=["celery-1"])
    assert rows.there


def test_workers_are_asked_until_they_have_done_it_and_one_of_them_removes_the_data() -> None:
    at_it = {"b": WorkerAnswer("silent", None), "a": WorkerAnswer("other", [])}
    workers = WorkersInMemory(at_it, {**at_it, "b": WorkerAnswer("silent", [])}, {"a": WorkerAnswer("other", [])})
    rows = RowsInMemory()
    assert RunStopper(rows, workers).stop(DAG, RUN, ["gone"], Deadline(time.monotonic(), 30))
    assert not rows.there
    end, again, removal = workers.asked
    # By the key a worker knows what it has begun.
    assert workers.keys[0] == workers.keys[1] != workers.keys[2]
    assert end == (again[0], None, None)
    assert end[0].run == rows.reference
    assert end[0].end and 25 < end[0].end.grace <= 30 and 55 < end[0].end.limit <= 60
    assert again[1:] == (None, 2)
    assert removal == (StopRequest(end[0].run, None, ("gone",)), ["a"], 1)


@pytest.mark.full
def test_what_is_left_is_tried_again_until_it_is_late() -> None:
    deaf = {"a": WorkerAnswer("silent", ["process 7 on silent", "process 8 on silent"])}
    gone = {"a": WorkerAnswer("silent", [])}
    for passed in (0, 150):
        rows = RowsInMemory()
        assert stop(rows, deaf, deaf, gone, grace=100, passed=passed)
        assert not rows.there
    rows = RowsInMemory()
    with pytest.raises(NotStopped) as error:
        stop(rows, deaf, gone, grace=100, passed=250)
    assert str(error.value) == (
        f"Of run '{RUN}' of DAG '{DAG}' there is still: process 7 on silent; process 8 on silent."
    )
    assert rows.there


def test_a_worker_has_some_time_to_say_that_it_was_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the one that removes the data has a time of its own."""
    at_it, done = {"a": WorkerAnswer("silent", None)}, {"a": WorkerAnswer("silent", [])}
    assert stop(RowsInMemory(), at_it, done)
    assert stop(RowsInMemory(), done, at_it, done, grace=100, passed=250)
    monkeypatch.setattr("cwl_airflow.stopping.coordinator.MARGIN", 0)
    for answers in ((at_it, done), (done, {}, done)):
        rows = RowsInMemory()
        with pytest.raises(NotStopped, match=r"still: something on (silent|a), whose worker is still at it"):
            stop(rows, *answers)
        with pytest.raises(NotStopped, match="whose worker is still at it"):
            stop(rows, at_it, done, grace=100, passed=250)
        assert rows.there


def test_a_run_that_somebody_else_removes_meanwhile_is_stopped() -> None:
    rows = RowsInMemory()

    class Slow(WorkersInMemory):
        def ask(self, *arguments: Any, **more: Any) -> WorkerAnswers:
            rows.there = False
            return super().ask(*arguments, **more)

    workers = Slow({"a": WorkerAnswer("silent", ["process 7 on silent"])})
    assert RunStopper(rows, workers).stop(DAG, RUN, (), Deadline(time.monotonic(), 100))


def test_a_worker_that_answers_no_more_counts_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cwl_airflow.stopping.coordinator.PAUSE", 0)
    lost = {"b": WorkerAnswer("silent", None)}
    workers = WorkersInMemory(
        {"a": WorkerAnswer("other", []), **lost}, {"a": WorkerAnswer("other", [])}, ended=["celery-1"]
    )
    rows = RowsInMemory()
    assert RunStopper(rows, workers).stop(DAG, RUN, (), Deadline(time.monotonic(), 30))
    assert [expected for _, destination, expected in workers.asked if destination is None] == [None, 2, 2, 2, 2, 1]


def test_what_workers_say_is_passed_on() -> None:
    answers = {name: WorkerAnswer(name, [f"process 7 on {name}"]) for name in ("one", "two")}
    assert name_remaining({**answers, "three": WorkerAnswer("three", [])}) == ["process 7 on one", "process 7 on two"]
    assert name_remaining({"a": WorkerAnswer("one", None)}) == ["something on one, whose worker is still at it"]
