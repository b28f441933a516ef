"""Each role alone, with the example of its README: no wiring, no groups, no other role's variables.

They share a host and come one after the other, since Airflow needs a database and a broker that are there.
`make role ROLE=mysql` runs one only, after those that it needs.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import HOST, PROJECT, Play

#: What a host must have before a role, and a unit that runs on it afterwards.
NEEDS = {"airflow": ["mysql", "rabbitmq"], "cwl_airflow": ["mysql", "rabbitmq", "nodejs", "airflow"]}
UNITS = {
    "base": "dbus",
    "storage": "dbus",
    "firewall": "site-firewall",
    "mysql": "mysql",
    "rabbitmq": "rabbitmq-server",
    "docker": "docker",
    "nodejs": "dbus",
    "certificates": "dbus",
    "proxy": "nginx",
    "airflow": "airflow-scheduler",
    "cwl_airflow": "airflow-cwl-javascript.socket",
    "hardening": "integrity-check.timer",
    "vagrant_guest": "dbus",
}


def preflight(role: str, folder: Path) -> str:
    """Write the role's example with its checks in the place of the role itself."""
    plays = yaml.safe_load((PROJECT / f"roles/{role}/example.yml").read_text(encoding="utf-8"))
    for play in plays:
        del play["roles"]
        play.pop("post_tasks", None)
        play["tasks"] = [{"import_role": {"name": role, "tasks_from": "preflight"}}]
    path = folder / f"{role}.yml"
    path.write_text(yaml.safe_dump(plays), encoding="utf-8")
    return str(path)


def test_every_role_has_an_example() -> None:
    assert {path.parent.name for path in PROJECT.glob("roles/*/example.yml")} == set(UNITS)


@pytest.mark.parametrize("role", UNITS)
def test_a_role_runs_alone(request: pytest.FixtureRequest, tmp_path: Path, role: str) -> None:
    only = request.config.getoption("--role")
    if only and role not in [*NEEDS.get(only, []), only]:
        pytest.skip(f"only {only}")
    play: Play = request.getfixturevalue("play")
    play(preflight(role, tmp_path), f"roles/{role}/example.yml")
    subprocess.run(["docker", "exec", HOST, "systemctl", "is-active", UNITS[role]], check=True)
