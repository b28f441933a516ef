"""The units of this host that are not as they should be."""

from __future__ import annotations

import shutil
import subprocess

#: Units that a host may have.
UNITS = ("airflow-*", "mysql*", "rabbitmq-server*", "docker*", "containerd*")


def local_units() -> list[dict[str, str]]:
    """Return how the units of this host are that are not as they should be; nothing where there is no systemd."""
    if not shutil.which("systemctl"):
        return []
    command = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--type=service,timer,socket", *UNITS]
    lines = subprocess.run(command, check=False, capture_output=True, text=True).stdout.splitlines()
    units = [line.split(maxsplit=4) for line in lines]
    return [
        {"name": unit, "state": "wrong", "text": f"{active} ({more}): journalctl -u {unit} says why"}
        for unit, _, active, more, *_ in units
        if active == "failed" or (active in ("activating", "deactivating") and more == "auto-restart")
    ]
