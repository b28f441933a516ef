"""What a task started is ended: its processes, those that they left, and its containers."""

from __future__ import annotations

import ctypes
import logging
import subprocess
from pathlib import Path

import psutil
import pytest
from cwl_airflow.containers import ContainerEngine
from cwl_airflow.runs.processes import adopt_orphans, end_children, remove_noted_containers


def test_what_processes_leave_is_adopted_and_ended() -> None:
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)  # as it is before
    adopt_orphans()
    subprocess.run(["sh", "-c", "sh -c 'sleep 600 & sleep 600' > /dev/null & sleep 600 > /dev/null &"], check=True)
    started = psutil.Process().children(recursive=True)
    assert started
    end_children()
    assert not psutil.Process().children(recursive=True)
    assert not any(process.is_running() for process in started)


@pytest.mark.full
def test_what_children_started_is_ended_with_them() -> None:
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)  # whatever they leave is somebody else's
    with subprocess.Popen(["sh", "-c", "sleep 600 & echo; wait"], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        started = psutil.Process(child.pid).children()
        end_children()
    adopt_orphans()
    assert len(started) == 1
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in started)


@pytest.fixture
def engine(tmp_path: Path) -> ContainerEngine:
    """Return a stand-in for an engine that notes what it is asked, and cannot remove what is called `stuck`."""
    command = tmp_path / "engine"
    command.write_text(f'#!/bin/sh\necho "$3" >> {tmp_path}/asked\n[ "$3" != stuck ]\n', encoding="utf-8")
    command.chmod(0o755)
    return ContainerEngine(str(command))


def test_noted_containers_are_removed(
    tmp_path: Path, engine: ContainerEngine, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "noted"
    folder.mkdir()
    for number, container in enumerate(("one\n", "", "two", "stuck")):
        (folder / f"{number}.cid").write_text(container, encoding="utf-8")
    (folder / "gone.cid").symlink_to("nothing")
    (folder / "other").write_text("other", encoding="utf-8")
    with caplog.at_level(logging.INFO, logger="cwltool"):
        remove_noted_containers(folder, engine)
    assert sorted((tmp_path / "asked").read_text(encoding="utf-8").split()) == ["one", "stuck", "two"]
    assert sorted(file.name for file in folder.iterdir()) == ["3.cid", "gone.cid", "other"]
    assert sorted(record.getMessage() for record in caplog.records) == [
        "Container stuck could not be removed: exit status 1",
        "Removing container one",
        "Removing container stuck",
        "Removing container two",
    ]


def test_the_folder_goes_with_its_last_note(tmp_path: Path, engine: ContainerEngine) -> None:
    folder = tmp_path / "noted"
    folder.mkdir()
    (folder / "1.cid").write_text("one", encoding="utf-8")
    remove_noted_containers(folder, engine)
    assert not folder.exists()
    remove_noted_containers(folder, engine)
