"""What is older than its sources, with real files, and what systemd says."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import outdated
import pytest
from outdated import find_newer, read_time, running_since

NOON = 1795867200.0  # 2026-11-28 12:00:00 UTC
SERVICE = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "Type": "notify",
    "FragmentPath": "",
    "DropInPaths": "",
    "NeedDaemonReload": "no",
    "ExecMainStartTimestamp": "Sat 2026-11-28 12:00:00.250000 UTC",
    "ActiveEnterTimestamp": "Sat 2026-11-28 12:00:05.000000 UTC",
    "StateChangeTimestamp": "Sat 2026-11-28 12:00:09.000000 UTC",
}
SOCKET = {name: value for name, value in SERVICE.items() if name not in ("Type", "ExecMainStartTimestamp")}


@pytest.mark.parametrize(
    ("text", "seconds"), [("Sat 2026-11-28 12:00:00.250000 UTC", NOON + 0.25), ("", 0), ("n/a", 0)]
)
def test_systemds_times_are_read(text: str, seconds: float) -> None:
    assert read_time(text) == seconds


@pytest.mark.parametrize(
    ("shown", "reload", "since"),
    [
        (SERVICE, False, NOON + 0.25),  # it has read its files before it was ready
        (SERVICE, True, NOON + 9),
        (SOCKET, False, NOON + 5),
        (SERVICE | {"ActiveState": "deactivating"}, False, NOON + 0.25),  # a worker that waits for its steps
        (SERVICE | {"ActiveState": "inactive"}, False, None),
        (SERVICE | {"ActiveState": "failed"}, False, None),
        (SERVICE | {"LoadState": "not-found"}, False, None),
        (SERVICE | {"Type": "oneshot", "ActiveState": "inactive"}, False, NOON + 0.25),
        (SERVICE | {"Type": "oneshot", "ActiveState": "inactive", "ExecMainStartTimestamp": ""}, False, 0),
        (SERVICE | {"Type": "oneshot", "ActiveState": "failed"}, False, 0),
    ],
)
def test_a_unit_runs_with_what_it_read_when_it_started(
    shown: dict[str, str], reload: bool, since: float | None
) -> None:
    assert running_since(shown, reload) == since


def test_newer_files_are_found(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / ".new"
    old.touch()
    since = time.time()
    while time.time() - since < 0.05:  # the clock of the file system is coarse
        time.sleep(0.01)
    new.touch()
    os.utime(new, (0, 0))  # a time that was kept, as of a package's file
    assert find_newer([f"{tmp_path}/*", f"{tmp_path}/none"], since) == [str(new)]
    assert find_newer([str(old), str(new)], 0) == sorted([str(old), str(new)])


def test_of_a_link_the_link_counts(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert find_newer([f"{tmp_path}/link"], time.time() - 60) == [f"{tmp_path}/link"]
    assert find_newer(["/etc/passwd"], time.time()) == []


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    """Run the module as Ansible does."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    given = {"ANSIBLE_MODULE_ARGS": {"_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False, **options}}
    monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_ARGS", json.dumps(given).encode())
    monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_PROFILE", "legacy")
    with pytest.raises(SystemExit):
        outdated.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_a_file_is_older_than_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made, source = tmp_path / "made-1", tmp_path / "source"
    source.touch()
    assert run(monkeypatch, capsys, path=f"{tmp_path}/made-*", sources=[str(source)])["newer"] == [str(source)]
    time.sleep(0.05)
    made.touch()
    assert not run(monkeypatch, capsys, path=f"{tmp_path}/made-*", sources=[str(source)])["changed"]
    time.sleep(0.05)
    source.write_text("x", encoding="utf-8")
    assert run(monkeypatch, capsys, path=f"{tmp_path}/made-*", sources=[str(source)])["changed"]


@pytest.mark.parametrize(
    ("shown", "changed"),
    [
        (SERVICE, True),
        (SERVICE | {"ExecMainStartTimestamp": "Sat 2096-11-28 12:00:00.000000 UTC"}, False),
        (SERVICE | {"ExecMainStartTimestamp": "Sat 2096-11-28 12:00:00.000000 UTC", "NeedDaemonReload": "yes"}, True),
        (SERVICE | {"ActiveState": "inactive", "NeedDaemonReload": "yes"}, False),
    ],
)
def test_a_unit_is_older_than_its_own_files(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    shown: dict[str, str],
    changed: bool,
) -> None:
    drop_in = tmp_path / "a.conf"
    drop_in.touch()
    generated = "/run/systemd/generator/a.conf"
    monkeypatch.setattr(outdated, "show_unit", lambda unit: shown | {"DropInPaths": f"{drop_in} {generated}"})
    answer = run(monkeypatch, capsys, unit="a")
    assert answer["changed"] == changed
    assert set(answer["newer"]) <= {str(drop_in)}


@pytest.mark.parametrize(
    ("shown", "changed"), [(SERVICE | {"ActiveState": "failed"}, True), (SERVICE | {"LoadState": "not-found"}, False)]
)
def test_a_unit_that_is_to_run_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shown: dict[str, str], changed: bool
) -> None:
    monkeypatch.setattr(outdated, "show_unit", lambda unit: shown)
    assert run(monkeypatch, capsys, unit="a", running=True)["changed"] == changed
    assert not run(monkeypatch, capsys, unit="a")["changed"]


def test_a_systemd_that_does_not_answer_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(unit: str) -> dict[str, str]:
        raise subprocess.CalledProcessError(1, "systemctl", stderr="no bus\n")

    monkeypatch.setattr(outdated, "show_unit", fail)
    assert run(monkeypatch, capsys, unit="a")["msg"] == "systemd does not answer about a: no bus"
