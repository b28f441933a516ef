"""What a task that was killed left is ended by the process that waits for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

import psutil
import pytest
from cwl_airflow.containers import ContainerEngine
from cwl_airflow.runs.layout import RunLayout
from cwl_airflow.runs.leftovers import end_leftovers, remove_left_containers

#: Supervises, starts a task that forks a tool, says the ids of both, and waits.
SUPERVISOR = """
import os, subprocess, sys, time
from cwl_airflow.runs.leftovers import supervise_tasks
supervise_tasks()
if not (task := os.fork()):
    tool = subprocess.Popen(["sleep", "600"])
    print(os.getpid(), tool.pid, flush=True)
    time.sleep(600)
time.sleep(600)
"""


@pytest.fixture
def engine(tmp_path: Path) -> ContainerEngine:
    """Return a stand-in for an engine that notes what it removes."""
    command = tmp_path / "engine"
    command.write_text(f'#!/bin/sh\necho "$3" >> {tmp_path}/removed\n', encoding="utf-8")
    command.chmod(0o755)
    return ContainerEngine(str(command))


def is_there(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(process: int) -> None:
    deadline = time.monotonic() + 60
    while is_there(process):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.full
def test_a_task_ends_with_its_supervisor_and_a_program_that_it_started_does_not() -> None:
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout
        task, tool = map(int, supervisor.stdout.readline().split())
        try:
            supervisor.kill()
            wait_until_gone(task)
            assert is_there(tool)
        finally:
            os.kill(tool, signal.SIGKILL)


def test_the_supervisor_gets_what_a_killed_task_left() -> None:
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout
        task, tool = map(int, supervisor.stdout.readline().split())
        try:
            os.kill(task, signal.SIGKILL)
            wait_until_gone(task)
            assert psutil.Process(tool).ppid() == supervisor.pid
        finally:
            os.kill(tool, signal.SIGKILL)
            supervisor.kill()


@pytest.mark.full
def test_what_is_left_is_ended_with_its_containers(tmp_path: Path, engine: ContainerEngine) -> None:
    layout = RunLayout(tmp_path / "dag/run")
    notes = layout.containers("step-map")
    notes.mkdir(parents=True)
    layout.lock.touch()
    (notes / "1.cid").write_text("container", encoding="utf-8")
    left = subprocess.Popen(["sh", "-c", "sleep 600; :", f"--cidfile={notes}/1.cid"])
    other = subprocess.Popen(["sleep", "600"])
    end_leftovers(engine)
    assert not is_there(left.pid)
    assert not is_there(other.pid)
    assert not notes.exists()
    assert (tmp_path / "removed").read_text(encoding="utf-8") == "container\n"
    assert not psutil.Process().children()
    left.poll()
    other.poll()


@pytest.mark.full
@pytest.mark.parametrize("place", ["", "containers/elsewhere/step-map", "containers"])
def test_what_a_tool_was_given_as_a_note_is_none(tmp_path: Path, engine: ContainerEngine, place: str) -> None:
    """A folder that is no run's own for this host stays, whatever is in it."""
    layout = RunLayout(tmp_path / "dag/run")
    folder = layout.folder / place
    for each in (folder, layout.containers("")):
        each.mkdir(parents=True, exist_ok=True)
    layout.lock.touch()
    (folder / "1.cid").write_text("another", encoding="utf-8")
    with chdir(folder):
        left = [
            subprocess.Popen(["sh", "-c", "sleep 600; :", f"--cidfile={name}"])
            for name in ("1.cid", f"{folder}/1.cid", f"{layout.containers('')}/../../1.cid")
        ]
        end_leftovers(engine)
    assert (folder / "1.cid").exists()
    assert not (tmp_path / "removed").exists()
    for process in left:
        process.poll()


def test_where_nothing_is_left_nothing_is_asked(tmp_path: Path, engine: ContainerEngine) -> None:
    end_leftovers(engine)
    assert not (tmp_path / "removed").exists()


def test_the_containers_of_this_host_are_removed(tmp_path: Path, engine: ContainerEngine) -> None:
    for host in (socket.gethostname(), "elsewhere"):
        folder = tmp_path / "dag/run/containers" / host / "jobs-step/0"
        folder.mkdir(parents=True)
        (folder / "1.cid").write_text(f"of-{host}", encoding="utf-8")
    remove_left_containers(tmp_path, engine)
    assert (tmp_path / "removed").read_text(encoding="utf-8") == f"of-{socket.gethostname()}\n"
    assert [file.parts[-4] for file in tmp_path.glob("dag/run/containers/**/*.cid")] == ["elsewhere"]
