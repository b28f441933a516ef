"""Which packages are installed, as dpkg of this machine says it."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from packages import ActionModule


class Here(ActionModule):
    """Runs what it asks a host on this machine."""

    def __init__(self) -> None:
        """Need nothing of a task."""

    def _low_level_execute_command(self, cmd: str, **_: Any) -> dict[str, Any]:
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
    ],
)
def test_what_is_installed_is_known(names: list[str], installed: bool) -> None:
    assert Here()._are_installed(names) is installed
