"""Playbooks for the host under test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def playbook(*arguments, name="site.yml", **variables):
    """Return the command of a playbook for the host under test."""
    inventories = os.environ.get("INVENTORY", "inventories/standin").split(",")
    return [
        str(Path(sys.executable).with_name("ansible-playbook")),
        *(f"--inventory={inventory}" for inventory in inventories),
        f"--extra-vars={json.dumps(variables)}",
        name,
        *arguments,
    ]


def converge(*arguments, **variables):
    """Run `site.yml`, and return what it says."""
    done = subprocess.run(
        playbook(*arguments, **variables), cwd=PROJECT, capture_output=True, text=True, check=False, timeout=1200
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return done.stdout
