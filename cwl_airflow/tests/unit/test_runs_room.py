"""A task waits while its disks are nearly full, with the file systems of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cwl_airflow.runs import room
from cwl_airflow.runs.room import find_full, wait_for_room

#: More than any disk has, in MiB.
TOO_MUCH = 2**50


def test_one_folder_of_each_file_system_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize // 2**20
    (found,) = find_full([tmp_path, tmp_path / "in"], TOO_MUCH)
    folder, has, number, *rest = found.split()
    assert (folder, has, rest) == (str(tmp_path), "has", ["MiB", "free"])
    assert abs(int(number) - free) < 1000  # others write too
    assert len(find_full([tmp_path, Path("/dev/shm")], TOO_MUCH)) == 2


def test_a_folder_with_room_is_not(tmp_path: Path) -> None:
    assert find_full([tmp_path], 0) == []


def test_of_a_folder_that_is_not_there_what_is_above_it_counts(tmp_path: Path) -> None:
    (found,) = find_full([tmp_path / "none/at/all"], TOO_MUCH)
    assert found.startswith(f"{tmp_path} has ")


def test_a_file_system_that_does_not_say_has_room() -> None:
    assert os.statvfs("/proc").f_blocks == 0
    assert find_full([Path("/proc")], TOO_MUCH) == []


def test_who_waits_for_nothing_looks_at_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "statvfs")
    assert wait_for_room([tmp_path], 0, pytest.fail)


def test_it_goes_on_when_there_is_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room, "PAUSE", 0)
    looks = [["x has 1 MiB free"], ["x has 2 MiB free"], []]
    monkeypatch.setattr(room, "find_full", lambda folders, least: looks.pop(0))
    said: list[str] = []
    assert wait_for_room([tmp_path], 1024, said.append)
    assert said == [
        "This task begins when there is room: x has 1 MiB free, and 1024 are to be ([cwl] min_free).",
        "There is room: the task begins.",
    ]


def test_it_gives_its_place_to_others_after_a_while(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room, "PAUSE", 0.01)
    monkeypatch.setattr(room, "LONGEST", 0.05)
    said: list[str] = []
    assert not wait_for_room([tmp_path], TOO_MUCH, said.append)
    assert len(said) == 1
