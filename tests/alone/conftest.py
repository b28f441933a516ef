"""A stand-in host in no group of a site, for roles one by one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
HOST = "roles-single"
Play = Callable[..., str]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that chooses a role."""
    parser.addoption("--role", help="only this role, on a host with what it needs")


@pytest.fixture(scope="session")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Make a bare stand-in host and return a function that runs playbooks against it."""
    folder = tmp_path_factory.mktemp("roles")
    variables = {
        "standin_prefix": "roles",
        "ansible_connection": "docker",
        "docker_registry_mirrors": ["http://registry:5000"],
        "airflow_wheel_cache": str(PROJECT / "build/wheels"),
    }
    inventory = {"all": {"children": {"standin": {"hosts": {HOST: {}}}}, "vars": variables}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    # The stand-in has MySQL from another repository than the examples.
    repositories = f"--extra-vars=@{PROJECT}/playbooks/standin/repositories.yml"
    command = [str(PROJECT / ".venv/bin/ansible-playbook"), "-i", str(folder), repositories]

    def run(*playbooks: str) -> str:
        environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "0"}
        done = subprocess.run(
            [*command, *playbooks],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        run("playbooks/standin/create.yml")
        yield run
    finally:
        run("playbooks/standin/destroy.yml")
