"""When a Vagrant guest makes SSH host keys, and when it throws away those of another machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "roles/vagrant_guest/files/vagrant-host-keys"
KEY = "etc/ssh/ssh_host_ed25519_key"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return the root of a machine's file system."""
    (tmp_path / "etc/ssh").mkdir(parents=True)
    (tmp_path / "etc/machine-id").write_text("a\n", encoding="utf-8")
    return tmp_path


def start(machine: Path) -> str:
    """Do what the machine does before its SSH server starts and return its key."""
    subprocess.run(["sh", str(PROGRAM), str(machine)], check=True)
    return (machine / KEY).read_text(encoding="utf-8")


def test_keys_stay_with_the_machine(machine: Path) -> None:
    assert start(machine) == start(machine)


@pytest.mark.parametrize("name", ["etc/machine-id", "sys/class/dmi/id/product_uuid"])
def test_another_machine_gets_other_keys(machine: Path, name: str) -> None:
    first = start(machine)
    (machine / name).parent.mkdir(parents=True, exist_ok=True)
    (machine / name).write_text("b\n", encoding="utf-8")
    second = start(machine)
    assert first != second
    assert second == start(machine)


def test_keys_that_were_not_noted_are_made_again(machine: Path) -> None:
    (machine / KEY).write_text("of the machine that was packaged", encoding="utf-8")
    assert start(machine) != "of the machine that was packaged"
