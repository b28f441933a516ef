"""A bare stand-in host for the tests of what is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
HOST = "refusals-single"
BINARIES = PROJECT / ".venv/bin"
GROUPS = ["standin", "database", "broker", "webserver", "scheduler", "worker", "flower", "cwl_api", "proxy"]


#: How many examples of one test `make test` has at most; `pytest tests/refusals` has all.
MOST_EXAMPLES = 30


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `full` what more there is of examples of one test, a part of each kind."""
    tests: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        tests[item.nodeid.partition("[")[0]].append(item)
    for examples in tests.values():
        chosen = {place * len(examples) // MOST_EXAMPLES for place in range(MOST_EXAMPLES)}
        for place, item in enumerate(examples):
            if len(examples) > MOST_EXAMPLES and place not in chosen:
                item.add_marker("full")


def playbook(inventory: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook against an inventory."""
    environment = {**os.environ, "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.timer", "ANSIBLE_FORCE_COLOR": "0"}
    return subprocess.run(
        [str(BINARIES / "ansible-playbook"), "-i", str(inventory), name, *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="session")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a bare stand-in host and return the inventory that names it."""
    folder = tmp_path_factory.mktemp("refusals")
    hosts = {"all": {"hosts": {HOST: {}}, "children": {group: {"hosts": {HOST: {}}} for group in GROUPS}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    (folder / "group_vars").mkdir()
    variables = {
        "site_name": "refusals",
        "standin_prefix": "refusals",
        "ansible_connection": "docker",
        "docker_registry_mirrors": ["http://registry:5000"],
        **yaml.safe_load((PROJECT / "playbooks/standin/repositories.yml").read_text(encoding="utf-8")),
    }
    (folder / "group_vars/all.yml").write_text(yaml.safe_dump(variables), encoding="utf-8")
    try:
        made = playbook(folder, "playbooks/standin/create.yml")
        assert made.returncode == 0, made.stdout + made.stderr
        yield folder
    finally:
        playbook(folder, "playbooks/standin/destroy.yml")
        shutil.rmtree(PROJECT / "credentials/refusals", ignore_errors=True)


@pytest.fixture
def credentials() -> Iterator[Path]:
    """Return the folder of the site's secrets, which is gone afterwards."""
    folder = PROJECT / "credentials/refusals"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def shell(inventory: Path) -> Callable[[str], str]:
    """Return a function that runs a command on the host."""

    def run(command: str) -> str:
        return subprocess.run(
            ["docker", "exec", HOST, "sh", "-c", command], capture_output=True, text=True, check=True, timeout=180
        ).stdout

    return run


@pytest.fixture
def set_up_before(shell: Callable[[str], str]) -> Iterator[None]:
    """Let the host look as if it had been set up."""
    shell("mkdir -p /etc/airflow && touch /etc/airflow/airflow.cfg")
    yield
    shell("rm -r /etc/airflow")


@pytest.fixture
def refused(inventory: Path, credentials: Path, shell: Callable[[str], str]) -> Callable[..., str]:
    """Return a function that runs a playbook, which must fail and leave host and controller alone.

    By default it is the first part of site.yml: to read all of it takes a third longer.
    """

    def run(
        variables: dict[str, object],
        *arguments: str,
        changed_inventory: Path | None = None,
        name: str = "playbooks/checks.yml",
    ) -> str:
        kept = credentials.exists()
        # Everything but what a running system writes by itself.
        ignored = " -o ".join(f"-path {path}" for path in ("/proc", "/run", "/tmp", "/var/tmp", "/var/log", "/root"))
        files = f"find / -xdev \\( {ignored} \\) -prune -o -newer /run/began -print"
        shell("touch /run/began && sleep 0.1")
        result = playbook(changed_inventory or inventory, name, "--extra-vars", json.dumps(variables), *arguments)
        assert result.returncode != 0, result.stdout
        assert "PLAY [One at a time]" not in result.stdout, "it was not a check that refused"
        assert shell(files) == "", "the host was changed"
        assert credentials.exists() == kept, "secrets were made"
        output = result.stdout + result.stderr
        for message in re.findall(r"^\[ERROR\]: (.*?)^Origin: ", output, re.MULTILINE | re.DOTALL):
            assert message.count("\n") <= 10, "nobody reads that much"
        return " ".join(output.split())

    return run
