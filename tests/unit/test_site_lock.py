"""One at a time changes a site, with real files and processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import site_lock
from lock_file import change_lock, read_holder
from site_lock import PATH, REFUSAL, has_ended, identify, start_of

ANNA, BERT = {"user": "anna"}, {"user": "bert"}


@pytest.fixture
def lock(tmp_path: Path) -> str:
    """Return the path of a lock."""
    return str(tmp_path / "lock")


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that waits."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_the_second_learns_who_was_first(lock: str) -> None:
    assert change_lock(lock, ANNA, "held", None) == ANNA
    assert change_lock(lock, ANNA, "held", None) == ANNA
    assert change_lock(lock, BERT, "held", None) == ANNA
    assert change_lock(lock, BERT, "free", None) == ANNA
    assert change_lock(lock, ANNA, "free", None) is None
    assert Path(lock).read_text(encoding="utf-8") == ""
    assert change_lock(lock, BERT, "held", None) == BERT


def test_who_counts_as_nobody_is_replaced(lock: str) -> None:
    change_lock(lock, ANNA, "held", None)
    assert change_lock(lock, BERT, "held", {"user": "carl"}) == ANNA
    assert change_lock(lock, BERT, "held", ANNA) == BERT
    assert change_lock(lock, {"user": "carl"}, "held", ANNA) == BERT  # who comes second to replace her


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", "\0"])
def test_what_cannot_be_read_holds_nobody_up(lock: str, text: str) -> None:
    assert read_holder(text) is None
    Path(lock).write_text(text, encoding="utf-8")
    assert change_lock(lock, ANNA, "held", None) == ANNA
    assert read_holder(Path(lock).read_text(encoding="utf-8")) == ANNA


def test_of_many_at_once_one_holds_it(lock: str) -> None:
    askers = [{"user": str(number)} for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        holders = list(pool.map(lambda asker: change_lock(lock, asker, "held", None), askers))
    assert len({str(holder) for holder in holders}) == 1


def test_a_process_that_ends_holds_nothing(process: subprocess.Popen[bytes]) -> None:
    holder = identify(process.pid)
    assert identify(process.pid) == holder  # the same at each task
    assert not has_ended(holder)
    process.kill()
    process.wait()
    assert has_ended(holder)


def test_another_process_of_its_number_is_another() -> None:
    assert has_ended(identify(os.getpid()) | {"start": "1"})


@pytest.mark.parametrize("name", ["machine", "processes"])
def test_of_another_machine_nothing_is_known(name: str) -> None:
    assert not has_ended(identify(2**22 + 1) | {name: "other"})
    assert start_of(2**22 + 1) == ""


def test_what_a_machine_did_before_its_boot_has_ended(process: subprocess.Popen[bytes]) -> None:
    assert has_ended(identify(process.pid) | {"boot": "other"})


def test_a_process_that_is_not_shown_goes_on(process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of other users are with `hidepid`."""
    holder = identify(process.pid)
    monkeypatch.setattr(site_lock, "start_of", lambda _: "")
    assert not has_ended(holder)

    def forbid(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbid)
    assert not has_ended(holder)


def test_the_refusal_names_who_where_and_what_to_do() -> None:
    said = REFUSAL.format(**identify(1), path=PATH, on="host1")
    assert "(process 1 there)" in said
    assert f"remove {PATH} on host1" in said
