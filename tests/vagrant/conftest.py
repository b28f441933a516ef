"""Real Vagrant, with a home and a state of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SITE = "vagrant-test"
PORTS = {"HTTPS": 18443, "WEBSERVER": 18080, "CWL_API": 18081, "FLOWER": 15555, "RABBITMQ": 15673}

Run = Callable[..., str]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the test of a box."""
    parser.addoption("--box", metavar="FILE", help="box for libvirt to test")
    parser.addoption("--libvirt-driver", default="kvm", choices=["kvm", "qemu"], help="qemu emulates the machine")


def what_failed(output: str) -> str:
    """Return the tasks that failed on one host while others went on, whose error is far above the end."""
    tasks = [task for task in output.split("\nTASK ") if re.search(r"^(fatal|failed): ", task, re.MULTILINE)]
    return "\n".join(task[-3000:] for task in tasks) + "\n...\n"


def runner(folder: Path, environment: dict[str, str]) -> Run:
    """Return a function that runs vagrant in a folder and returns what it prints."""

    def run(*arguments: str, succeeds: bool | None = True) -> str:
        done = subprocess.run(
            ["vagrant", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
        )
        assert succeeds in (None, done.returncode == 0), (
            what_failed(done.stdout) + done.stdout[-3000:] + done.stderr[-5000:]
        )
        return done.stdout + done.stderr if succeeds is False else done.stdout

    run.environment = environment  # type: ignore[attr-defined]
    return run


def checkout(state: Path, site: str, **settings: str) -> Iterator[Run]:
    """Return a function that runs vagrant in the checkout; the site's machines are destroyed afterwards."""
    environment = {
        **os.environ,
        "VAGRANT_HOME": str(state / "home"),
        "VAGRANT_DOTFILE_PATH": str(state / "machines"),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "CWL_AIRFLOW_SITE_NAME": site,
        **{f"CWL_AIRFLOW_{service}_PORT": str(port) for service, port in PORTS.items()},
        **settings,
    }
    try:
        yield runner(PROJECT, environment)
    finally:
        subprocess.run(["vagrant", "destroy", "--force"], cwd=PROJECT, env=environment, check=False)
        shutil.rmtree(PROJECT / "credentials" / site, ignore_errors=True)


@pytest.fixture(scope="session")
def vagrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Return a function that runs vagrant in the checkout."""
    yield from checkout(tmp_path_factory.mktemp("vagrant"), SITE)


@pytest.fixture(scope="session")
def vagrant_of_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Return a function that runs vagrant in the checkout, with one worker more."""
    yield from checkout(tmp_path_factory.mktemp("vagrant-two"), f"{SITE}-two", CWL_AIRFLOW_WORKERS="1")
