"""What an inventory says wins over roles' defaults and wiring, and secrets come from files or from Ansible Vault."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
BINARIES = PROJECT / ".venv/bin"
GROUPS = ["database", "broker", "webserver", "scheduler", "worker", "flower", "cwl_api"]
SITE = "test-wiring"
DEFAULTS = [
    name
    for path in PROJECT.glob("roles/*/defaults/main.yml")
    for name in yaml.safe_load(path.read_text(encoding="utf-8"))
]
WIRING: dict[str, Any] = {}
for path in PROJECT.glob("wiring/*.yml"):
    WIRING |= yaml.safe_load(path.read_text(encoding="utf-8"))
SECRETS = {secret["variable"]: file for file, secret in WIRING["credentials"].items()}


def run(*command: str) -> str:
    """Run a command of Ansible and return what it prints."""
    done = subprocess.run(
        [str(BINARIES / command[0]), *command[1:]], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write(folder: Path, variables: dict[str, Any], **more: Any) -> Path:
    """Write an inventory with a host in all groups, and these variables in group_vars/all.yml."""
    host = {"hosts": {"host": {"ansible_connection": "local"}}}
    hosts = {"all": {**host, "children": {group: {"hosts": {"host": {}}} for group in GROUPS}, **more}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    (folder / "group_vars").mkdir()
    (folder / "group_vars/all.yml").write_text(yaml.safe_dump({"site_name": SITE, **variables}), encoding="utf-8")
    return folder


@pytest.fixture
def credentials() -> Iterator[Path]:
    """Return the folder of the site's secrets, which is gone afterwards."""
    folder = PROJECT / "credentials" / SITE
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("place", ["group_vars/all.yml", "hosts.yml"])
@pytest.mark.parametrize("playbooks", [".", "playbooks", "playbooks/box", "molecule/default"])
def test_all_that_an_inventory_says_wins(tmp_path: Path, place: str, playbooks: str) -> None:
    given = {name: f"{name} of the site" for name in [*DEFAULTS, *WIRING, *SECRETS] if name != "site_name"}
    folder = write(tmp_path, given) if place == "group_vars/all.yml" else write(tmp_path, {}, vars=given)
    found = json.loads(run("ansible-inventory", f"--playbook-dir={playbooks}", "-i", str(folder), "--host=host"))
    assert {name: found[name] for name in given} == given


def test_an_inventory_without_the_groups_of_a_site_is_wired_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {host: }}\n", encoding="utf-8")
    found = json.loads(run("ansible-inventory", "-i", str(tmp_path), "--host=host"))
    assert found == {"project_dir": str(PROJECT), "ansible_local": {}}  # the second is Ansible's own


def test_a_default_is_written_once() -> None:
    repeated = re.compile(rf"\b({'|'.join(sorted({*DEFAULTS, *WIRING}))}) *\| *default\(")
    for path in [*PROJECT.glob("wiring/*"), PROJECT / "site.yml", *PROJECT.glob("playbooks/**/*.yml")]:
        assert not repeated.findall(path.read_text(encoding="utf-8")), path


def test_what_releases_ask_for_is_numbered() -> None:
    assert [change["number"] for change in WIRING["site_changes"]] == list(range(1, len(WIRING["site_changes"]) + 1))


def test_the_docs_name_every_secret() -> None:
    table = (PROJECT / "docs/secrets.md").read_text(encoding="utf-8")
    for variable, file in SECRETS.items():
        assert f"`{file}`" in table
        assert f"`{variable}`" in table


def test_a_secret_of_ansible_vault_needs_no_file(tmp_path: Path, credentials: Path) -> None:
    password = tmp_path / "vault-password"
    password.write_text("of the vault\n", encoding="utf-8")
    inventory = tmp_path / "site"
    inventory.mkdir()
    write(inventory, {})
    vault = f"--vault-password-file={password}"
    secret = run("ansible-vault", "encrypt_string", vault, "--name=mysql_airflow_password", "hush-hush-hush")
    with (inventory / "group_vars/all.yml").open("a", encoding="utf-8") as file:
        file.write(secret)
    run("ansible-playbook", vault, "-i", str(inventory), "playbooks/credentials.yml")
    made = {name for name, each in WIRING["credentials"].items() if "value" in each}
    assert {path.name for path in credentials.iterdir()} == made - {"mysql_airflow"}
    url = run("ansible", "host", vault, "-i", str(inventory), "-m", "debug", "-a", "var=airflow_database_url")
    assert "airflow:hush-hush-hush@127.0.0.1:3306" in url
    run("ansible-playbook", vault, "-i", str(inventory), "playbooks/credentials.yml")
    assert not (credentials / "mysql_airflow").exists()
