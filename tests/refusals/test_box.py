"""A box that cannot be made is refused at the start, and an interrupted build leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import PROJECT, playbook

BUILD = PROJECT / "build"


def refused(variables: dict[str, object]) -> str:
    """Run the playbook of `make box`, which must fail and make nothing, and return what it prints."""
    before = of_the_engine()
    result = playbook(
        Path("inventories/vagrant"), "playbooks/box.yml", "-i", "playbooks/box/hosts.yml", "-e", json.dumps(variables)
    )
    assert result.returncode != 0, result.stdout
    assert not (BUILD / "box").exists()
    assert of_the_engine() == before
    return " ".join((result.stdout + result.stderr).split())


def of_the_engine() -> list[str]:
    """Return the names of containers, volumes and networks of a build."""
    commands = [
        ["docker", "ps", "--all", "--format", "{{.Names}}"],
        ["docker", "volume", "ls", "--format", "{{.Name}}"],
        ["docker", "network", "ls", "--format", "{{.Name}}"],
    ]
    names = [
        name
        for command in commands
        for name in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    ]
    return [name for name in names if name.startswith("cwl-airflow-box")]


def test_too_little_disk_space() -> None:
    assert "GiB free, a production box needs 1000000 GiB: make room" in refused({"box_space": {"production": 1000000}})


def test_missing_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in os.environ["PATH"].split(":"):
        for tool in Path(folder).iterdir() if Path(folder).is_dir() else []:
            if tool.name != "mmdebstrap" and not (tmp_path / tool.name).exists():
                (tmp_path / tool.name).symlink_to(tool)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("mmdebstrap") is None
    assert "mmdebstrap is missing: install mmdebstrap (Debian's names)" in refused({})


def test_interrupted_build() -> None:
    before = sorted(BUILD.glob("*.box*"))
    build = subprocess.Popen(["bin/box", "base"], cwd=PROJECT, stdout=subprocess.DEVNULL)
    try:
        began = time.monotonic()
        while "cwl-airflow-boxer" not in of_the_engine():  # it makes the disk, which is the last but one step
            assert build.poll() is None, "the build failed"
            assert time.monotonic() - began < 600
            time.sleep(0.5)
        build.send_signal(signal.SIGTERM)
        assert build.wait(timeout=120) == 128 + signal.SIGTERM
    finally:
        build.kill()
    assert of_the_engine() == []
    assert not (BUILD / "box").exists()
    assert sorted(BUILD.glob("*.box*")) == before
