"""Stopping a run on a host: which processes, containers and folders are its, and that they are gone."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from cwl_airflow.stopping import celery_command as worker
from cwl_airflow.stopping import coordinator as runs
from cwl_airflow.stopping import host_agent as host
from gates import places

DAG, RUN = "align", "manual__2026-01-01T00:00:00+00:00"
RUNNER = f"airflow task runner: {DAG} map {RUN} 17"
DEAF = "trap '' TERM INT HUP\n"

Start = Callable[..., psutil.Process]


@pytest.fixture
def run(tmp_path: Path) -> host.Run:
    """Return a run whose folder is there."""
    made = host.Run.of(DAG, RUN, places(tmp_path), {}, [])
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
        (RUNNER.removesuffix(" 17"), True),
        (f"airflow task supervisor: {['airflow', 'tasks', 'run', DAG, 'map', RUN, '--local']}", True),
        (f"/opt/airflow/bin/python /opt/airflow/bin/airflow tasks run {DAG} map {RUN} --raw", True),
        (RUNNER.replace(DAG, "align-2"), False),
        (RUNNER.replace(RUN, f"{RUN}-2"), False),
        (f"airflow task runner: other {DAG} {RUN} 17", False),
        (f"airflow task supervisor: {['airflow', 'tasks', 'run', DAG, 'map', 'other', '--local']}", False),
        (f"airflow task supervisor: ['airflow', 'tasks', 'run', '{DAG}', 'ma", False),
        (f"airflow tasks states-for-dag-run {DAG} {RUN}", False),
        (f"airflow dags trigger {DAG} --run-id {RUN}", False),
        (f"cwl-airflow-stop {DAG} {RUN}", False),
        ("", False),
    ],
)
def test_a_task_is_known_by_its_title(run: host.Run, title: str, mine: bool) -> None:
    assert run.names(title) is mine


def test_a_run_has_the_folders_that_its_job_and_its_dispatcher_name(tmp_path: Path) -> None:
    report = tmp_path / "own.json"
    report.write_text(json.dumps({"tmp_folder": str(tmp_path / "own")}), encoding="utf-8")
    site = places(tmp_path)
    (site.inputs).mkdir(parents=True)
    (site.inputs / "job.yml").write_text(f"tmp_folder: {tmp_path}/else", encoding="utf-8")

    def found(run_id: str, job: Any, reports: list[str]) -> list[str]:
        made = host.Run.of("d", run_id, site, job, reports)
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


def test_no_folder_is_removed_that_the_run_may_not_write(tmp_path: Path) -> None:
    site = places(tmp_path)
    for folder in (site.dags, site.tmp / "other"):
        made = host.Run.of("d", "r", site, {"tmp_folder": str(folder)}, [])
        assert made.folders == (site.tmp / "d/r",)


def test_a_task_that_is_deaf_is_killed_with_all_it_started(run: host.Run, start: Start, tmp_path: Path) -> None:
    far = f"setsid sh -c {shlex.quote(DEAF + f'echo $$ > {tmp_path}/far; sleep 1000; sleep 1000')} &\n"
    task = start(RUNNER, DEAF + far + "ready\nsleep 1000; sleep 1000")
    wait_for(lambda: (tmp_path / "far").exists() and (tmp_path / "far").read_text(encoding="utf-8"))
    all_of_it = [task, *task.children(recursive=True)]
    assert len(all_of_it) >= 3
    began = time.monotonic()
    assert host.end(run, "here", grace=1, limit=60) == []
    assert time.monotonic() - began >= 1
    assert [process for process in all_of_it if host.alive(process)] == []


def test_a_task_may_end_itself(run: host.Run, start: Start, tmp_path: Path) -> None:
    start(RUNNER, f"trap 'sleep 0.5; touch {tmp_path}/tidied; exit' TERM\nready\nwhile :; do sleep 0.1; done")
    assert host.end(run, "here", grace=60, limit=60) == []
    assert (tmp_path / "tidied").exists()


def test_what_a_killed_task_left_is_killed_and_nothing_else(run: host.Run, start: Start, tmp_path: Path) -> None:
    (run.folders[0].parent / f"{run.folders[0].name}2").mkdir()
    others = [
        start(RUNNER.replace(RUN, f"{RUN}2"), "ready\nsleep 1000"),
        start("tool", "ready\nsleep 1000", run.folders[0].parent / f"{run.folders[0].name}2"),
    ]
    in_folder = start("tool", f"{DEAF}ready\nsleep 1000; sleep 1000", run.folders[0])
    writes = start("tool", f"{DEAF}exec > {run.folders[0]}/out\nready\nsleep 1000; sleep 1000")
    assert host.end(run, "here", grace=60, limit=60) == []
    assert [host.alive(process) for process in (in_folder, writes, *others)] == [False, False, True, True]
    assert (run.folders[0] / "failed").exists()


def test_what_does_not_end_in_time_is_named(run: host.Run, start: Start) -> None:
    task = start(RUNNER, f"{DEAF}ready\nwhile :; do sleep 0.1; done")
    left = host.end(run, "here", grace=20, limit=0.5)
    assert left[0] == f"process {task.pid} ({RUNNER}) on here"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an engine's stand-in, with a file for each container: the real one is for the host."""
    folder = tmp_path / "engine"
    folder.mkdir()
    script = f"""#!/bin/sh
cd {folder}
case $1 in
  ps) ls | grep -v -e docker -e deaf ;;
  inspect) shift 3; for each; do printf '%s\\t%s\\n' $each $(cat $each); done ;;
  rm) [ -e deaf ] || rm $3 ;;
esac
"""
    (folder / "docker").write_text(script, encoding="utf-8")
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(host, "ENGINES", ("docker",))
    return folder


def test_containers_are_found_by_their_notes_and_by_their_folders(run: host.Run, engine: Path) -> None:
    mine = run.folders[0] / "containers/here/jobs-map/0"
    for folder, container in ((mine, "noted"), (run.folders[0] / "containers/there/step-map", "elsewhere")):
        folder.mkdir(parents=True)
        (folder / "1.cid").write_text(container, encoding="utf-8")
    for container, place in (("old", "step-map"), ("gone", "jobs-map/0")):  # an earlier version noted no host
        (run.folders[0] / "containers" / place).mkdir(parents=True)
        (run.folders[0] / "containers" / place / "1.cid").write_text(container, encoding="utf-8")
    (engine / "old").write_text("/somewhere", encoding="utf-8")
    (engine / "noted").write_text("/somewhere", encoding="utf-8")
    (engine / "unnoted").write_text(f"{run.folders[0]}/outputs/step-map/abc", encoding="utf-8")
    (engine / "foreign").write_text(f"{run.folders[0]}2/outputs", encoding="utf-8")
    assert host.end(run, "here", grace=1, limit=60) == []
    assert sorted(file.name for file in engine.iterdir()) == ["docker", "foreign"]
    # The other host has to confirm its own.
    assert host.remove(run) == ["container elsewhere on there, whose worker does not answer"]
    assert run.noted("here") == set()
    assert host.remove(run, ["there"]) == []


def test_a_container_that_stays_is_named(run: host.Run, engine: Path) -> None:
    (engine / "deaf").touch()
    (engine / "0123456789abcdef").write_text(str(run.folders[0]), encoding="utf-8")
    assert host.end(run, "here", grace=0, limit=0.5) == ["container 0123456789ab on here"]


def test_an_engine_that_does_not_answer_is_named_if_it_had_containers(run: host.Run, engine: Path) -> None:
    (engine / "docker").write_text("#!/bin/sh\necho no daemon >&2\nexit 1\n", encoding="utf-8")
    assert host.end(run, "here", grace=0, limit=0) == []
    note = run.folders[0] / "containers/here/step-map/1.cid"
    note.parent.mkdir(parents=True)
    note.write_text("0123", encoding="utf-8")
    assert host.end(run, "here", grace=0, limit=0) == ["docker on here does not say which containers run: no daemon"]
    assert note.exists()


def test_data_is_removed_unless_a_task_works_in_it(run: host.Run) -> None:
    folder = run.folders[0]
    with (folder / host.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert host.remove(run) == [f"a task that works in {folder}"]
    assert host.remove(run) == []
    assert not folder.exists()
    assert folder.parent.exists()
    assert host.remove(run) == []


def test_the_worker_asks_a_program_and_does_not_wait(
    run: host.Run, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    task = start(RUNNER, f"{DEAF}ready\nwhile :; do sleep 0.1; done")
    asked: dict[str, Any] = {"dag_id": DAG, "run_id": RUN, "job": {}, "reports": []}
    asked |= {"places": places(tmp_path).to_json()}
    # The task is deaf: the program is at it until the test ends it.
    work = worker.Work.begin({"run": asked, "end": {"grace": 60, "limit": 60}})
    assert work.left() is None
    task.kill()
    assert wait_for(lambda: work.left() is not None)
    assert work.left() == []
    assert work.left() == []


def test_a_program_that_breaks_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.devnull)
    work = worker.Work.begin({})
    assert wait_for(lambda: work.left() is not None)
    (left,) = work.left() or ()
    assert left.startswith("whatever it is: looking for it ended with 1")


class Database:
    """The rows of a run in memory, whose task ran on a host that is silent."""

    task = runs.Task("map", "silent", 1)

    def __init__(self) -> None:
        """Hold the rows."""
        self.there = True
        self.over: set[int] = set()

    def mark_failed(self, _dag_id: str, _run_id: str) -> runs.Rows | None:
        """Return what is there."""
        return runs.Rows([self.task], {}, []) if self.there else None

    def ended(self, _job_ids: Collection[int]) -> set[int]:
        """Return the jobs that have ended."""
        return self.over

    def remove(self, _dag_id: str, _run_id: str) -> None:
        """Remove the rows."""
        self.there = False


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Return a function that stops the run of a database; the worker of another host than its task's answers."""

    def broadcast(*_: Any) -> runs.Answers:
        return {"celery@other": {"host": "other", "left": []}}

    monkeypatch.setattr(runs, "_broadcast", broadcast)
    return lambda database, gone=(): runs._stop(database, DAG, RUN, gone, runs.Times(time.monotonic(), 0))


def test_a_run_is_not_stopped_while_a_host_that_had_some_is_silent(stop: Callable[..., bool]) -> None:
    database = Database()
    for _ in range(2):
        with pytest.raises(runs.NotStopped, match="task map on silent, whose worker does not answer"):
            stop(database)
        assert database.there
    database.over = {1}
    assert stop(database)
    assert not database.there
    assert not stop(database)


def test_a_host_that_is_gone_for_good_need_not_answer(stop: Callable[..., bool]) -> None:
    database = Database()
    assert stop(database, gone=["silent"])
    assert not database.there


def test_what_workers_say_is_passed_on() -> None:
    assert runs.still_there({"a": {"host": "one", "left": []}, "b": {"host": "two", "left": ["process 7 on two"]}}) == [
        "process 7 on two"
    ]
    assert runs.still_there({"a": {"host": "one", "left": None}}) == ["something on one, whose worker is still at it"]
