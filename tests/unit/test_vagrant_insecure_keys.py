"""Which keys of a Vagrant box are forgotten, and when."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROLE = Path(__file__).parents[2] / "roles/vagrant_guest/files"
INSECURE = (ROLE / "vagrant.pub").read_text(encoding="utf-8")
OWN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOwnOwnOwnOwnOwnOwnOwnOwnOwnOwnOwnOwnOwnOwnO vagrant\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (INSECURE, INSECURE),
        (INSECURE + "# a comment\n", INSECURE + "# a comment\n"),
        (INSECURE + OWN, OWN),
        (OWN + INSECURE.replace("vagrant insecure public key", "renamed"), OWN),
        (OWN, OWN),
        ("", ""),
    ],
    ids=["only insecure", "insecure and a comment", "another added", "other comments", "replaced", "empty"],
)
def test_insecure_keys_go_when_another_comes(tmp_path: Path, before: str, after: str) -> None:
    keys = tmp_path / "authorized_keys"
    keys.write_text(before, encoding="utf-8")
    keys.chmod(0o600)
    known = tmp_path / "insecure"
    known.write_text("".join(f"{line.split()[1]}\n" for line in INSECURE.splitlines()), encoding="utf-8")
    subprocess.run(["sh", str(ROLE / "vagrant-insecure-keys"), str(keys), str(known)], check=True)
    assert keys.read_text(encoding="utf-8") == after
    assert keys.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["authorized_keys", "insecure"]


def test_missing_file_is_no_error(tmp_path: Path) -> None:
    subprocess.run(["sh", str(ROLE / "vagrant-insecure-keys"), str(tmp_path / "none"), "/dev/null"], check=True)
