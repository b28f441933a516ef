"""Which packages are installed, as dpkg of this machine says it."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from packages import ActionModule


class Here(ActionModule):
    """Runs what it asks a host on this machine."""

    def __init__(self, states: str = "") -> None:
        """Need nothing of a task.

        :param states: what apt knows of packages, in place of what this machine's does.
        """
        self.states = states

    def _low_level_execute_command(self, cmd: str, **_: Any) -> dict[str, Any]:
        if cmd.startswith("cat "):
            return {"rc": 0, "stdout": self.states}
        done = subprocess.run(cmd, shell=True, capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout}


@pytest.mark.parametrize(
    ("names", "installed"),
    [
        (["dpkg"], True),
        (["dpkg", "base-files", "dpkg"], True),
        (["dpkg", "no-such-package"], False),
        (["dpkg=0.1"], False),
        (["dpk*"], False),
        (["base-file*"], False),
        ([], True),
    ],
)
def test_what_is_installed_is_known(names: list[str], installed: bool) -> None:
    assert Here()._are_installed(names) is installed


def test_what_only_others_need_is_not_asked_for() -> None:
    here = Here("Package: dpkg\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: base-files\nAuto-Installed: 0\n")
    assert not here._are_installed(["base-files", "dpkg"])
    assert here._are_installed(["base-files"])
