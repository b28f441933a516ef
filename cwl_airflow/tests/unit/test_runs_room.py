"""A task waits while its disks are nearly full, with the file systems of this machine."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from cwl_airflow.runs import room
from cwl_airflow.runs.room import find_full, wait_for_room

#: More than any disk has, in MiB.
TOO_MUCH = 2**50


def test_one_folder_of_each_file_system_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize // 2**20
    (found,) = find_full([tmp_path / "none", tmp_path, tmp_path / "in"], TOO_MUCH)
    folder, has, number, *rest = found.split()
    assert (folder, has, rest) == (str(tmp_path), "has", ["MiB", "free"])
    assert abs(int(number) - free) < 1000  # others write too
    assert len(find_full([tmp_path, Path("/proc")], TOO_MUCH)) == 2


def test_a_folder_with_room_is_not(tmp_path: Path) -> None:
    assert find_full([tmp_path], 0) == []
    assert find_full([tmp_path / "none"], TOO_MUCH) == []


def test_who_waits_for_nothing_looks_at_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "statvfs")
    wait_for_room([tmp_path], 0, pytest.fail)


def test_it_goes_on_when_there_is_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room, "PAUSE", 0.01)
    folder, said = tmp_path / "data", []
    folder.mkdir()
    done = threading.Thread(target=wait_for_room, args=([folder], TOO_MUCH, said.append))
    done.start()
    time.sleep(0.2)
    assert done.is_alive()
    folder.rmdir()  # the file system is gone, and with it what was waited for
    done.join(10)
    assert not done.is_alive()
    first, last = said
    assert first.startswith(f"This task begins when there is room: {folder} has ")
    assert first.endswith(f" MiB free, and {TOO_MUCH:g} are to be ([cwl] min_free).")
    assert last == "There is room: the task begins."


def test_it_says_again_that_it_waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room, "PAUSE", 0)
    monkeypatch.setattr(room, "REMINDER", 0)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        wait_for_room([tmp_path], TOO_MUCH, say)
    assert len(said) == 3
