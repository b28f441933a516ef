"""The Vagrantfile, with the provider that needs no hypervisor: the whole of site.yml over SSH."""

from __future__ import annotations

import json
import subprocess
import urllib.request

import pytest
from conftest import PORTS, PROJECT, SITE, Run

UNITS = ["airflow-webserver", "airflow-scheduler", "airflow-worker", "airflow-flower", "airflow-cwl-api"]
PLAYBOOK = str(PROJECT / ".venv/bin/ansible-playbook")
CONTAINER = f"{SITE}-cwl-airflow-production"


@pytest.mark.parametrize(
    ("name", "value", "fragment"),
    [("MEMORY", "4GB", "memory is '4GB': give a whole number"), ("CPUS", "0", "cpus is '0': give a whole number")],
)
def test_settings_that_are_none(
    vagrant: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, fragment: str
) -> None:
    monkeypatch.setitem(vagrant.environment, f"CWL_AIRFLOW_{name}", value)  # type: ignore[attr-defined]
    assert fragment in vagrant("validate", succeeds=False)


def test_setting_that_is_unknown(vagrant: Run) -> None:
    own = PROJECT / "vagrant.yml"
    assert not own.exists(), "vagrant.yml would be overwritten"
    own.write_text("memroy: 8192\n", encoding="utf-8")
    try:
        output = vagrant("validate", succeeds=False)
    finally:
        own.unlink()
    assert "must be `name: value` lines" in output
    assert "memory" in output


def test_vagrantfile_is_valid(vagrant: Run) -> None:
    vagrant("validate")


@pytest.fixture(scope="session")
def up(vagrant: Run) -> Run:
    """Bring the machine up and return vagrant."""
    subprocess.run([PLAYBOOK, "playbooks/standin/vagrant.yml"], cwd=PROJECT, check=True, capture_output=True)
    vagrant("up", "--provider=docker")
    return vagrant


def health() -> str:
    """Ask Airflow, at the port that Vagrant forwards, how its database is."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORTS['WEBSERVER']}/health", timeout=30) as answer:
        return str(json.load(answer)["metadatabase"]["status"])


def test_machine_is_up(up: Run) -> None:
    output = up("ssh", "--command", f"systemctl is-active {' '.join(UNITS)}")
    assert output.split().count("active") == len(UNITS)
    assert health() == "healthy"


def test_key_was_replaced(up: Run) -> None:
    insecure = (PROJECT / "roles/vagrant_guest/files/vagrant.pub").read_text(encoding="utf-8")
    keys = up("ssh", "--command", "cat .ssh/authorized_keys")
    assert len([line for line in keys.splitlines() if line.startswith("ssh-")]) == 1
    assert not [key for key in insecure.splitlines() if key.split()[1] in keys]


def test_ports_are_forwarded_to_loopback_only(up: Run) -> None:
    format_ = "{{json .HostConfig.PortBindings}}"
    found = subprocess.run(
        ["docker", "inspect", "--format", format_, CONTAINER], check=True, capture_output=True, text=True
    ).stdout
    bindings = [binding for port in json.loads(found).values() for binding in port]
    assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}
    assert {str(port) for port in PORTS.values()} <= {binding["HostPort"] for binding in bindings}


def test_provisioning_again_changes_nothing(up: Run) -> None:
    assert "changed=0 " in up("provision")


def test_machine_is_proved_after_a_reload(up: Run) -> None:
    up("reload")
    machines = up.environment["VAGRANT_DOTFILE_PATH"]  # type: ignore[attr-defined]
    subprocess.run(
        [PLAYBOOK, "-i", "inventories/vagrant", "-i", f"{machines}/provisioners/ansible/inventory",
         "playbooks/verify.yml", "--extra-vars", f"site_name={SITE}"],
        cwd=PROJECT, check=True,
    )  # fmt: skip


def test_machine_is_destroyed(up: Run) -> None:
    up("destroy", "--force")
    names = subprocess.run(
        ["docker", "ps", "--all", "--format", "{{.Names}}"], check=True, capture_output=True, text=True
    ).stdout
    assert CONTAINER not in names.split()
