"""The Vagrantfile, with the provider that needs no hypervisor: the whole of site.yml over SSH.

One machine first, then two of which one only works (`make test-cluster`).
"""

from __future__ import annotations

import json
import subprocess
import time

import pytest
import requests
from conftest import PORTS, PROJECT, SITE, Run
from cwl_airflow.rest import AirflowClient

SERVICES = "webserver scheduler dag-processor triggerer worker flower cwl-api cwl-reports"
UNITS = [f"airflow-{service}" for service in SERVICES.split()]
PLAYBOOK = str(PROJECT / ".venv/bin/ansible-playbook")
CONTAINER = f"{SITE}-cwl-airflow-production"
#: The address of the second machine of two.
WORKER = "192.168.64.11"


@pytest.mark.parametrize(
    ("name", "value", "fragment"),
    [
        ("MEMORY", "4GB", "memory is '4GB': give a whole number"),
        ("CPUS", "0", "cpus is '0': give a whole number above 0"),
        ("WORKERS", "-1", "workers is '-1': give a whole number."),
    ],
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
def images() -> None:
    """Make the image, network and registry, as `make vagrant-docker` does."""
    subprocess.run([PLAYBOOK, "playbooks/standin/vagrant.yml"], cwd=PROJECT, check=True, capture_output=True)


@pytest.fixture(scope="session")
def up(vagrant: Run, images: None) -> Run:
    """Bring the machine up and return vagrant."""
    vagrant("up", "--provider=docker")
    return vagrant


def prove(vagrant: Run) -> None:
    """Prove the machines as any site is proved."""
    environment = vagrant.environment  # type: ignore[attr-defined]
    subprocess.run(
        [PLAYBOOK, "-i", "inventories/vagrant",
         "-i", f"{environment['VAGRANT_DOTFILE_PATH']}/provisioners/ansible/inventory",
         "playbooks/verify.yml", "--extra-vars", f"site_name={environment['CWL_AIRFLOW_SITE_NAME']}"],
        cwd=PROJECT, check=True,
    )  # fmt: skip


def names_of_containers() -> list[str]:
    """Return the names of all containers of this computer's engine."""
    return subprocess.run(
        ["docker", "ps", "--all", "--format", "{{.Names}}"], check=True, capture_output=True, text=True
    ).stdout.split()


def health() -> str:
    """Ask Airflow, at the port that Vagrant forwards, how its database is."""
    answer = requests.get(f"http://127.0.0.1:{PORTS['WEBSERVER']}/api/v2/monitor/health", timeout=30)
    return str(answer.json()["metadatabase"]["status"])


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
    prove(up)


def test_machine_is_destroyed(up: Run) -> None:
    up("destroy", "--force")
    assert CONTAINER not in names_of_containers()


@pytest.fixture(scope="session")
def two_up(vagrant_of_two: Run, images: None) -> Run:
    """Bring two machines up and return vagrant."""
    vagrant_of_two("up", "--provider=docker")
    return vagrant_of_two


def airflow(site: str) -> AirflowClient:
    """Return Airflow's REST API as the administrator of a site asks it."""
    password = (PROJECT / "credentials" / site / "airflow_admin").read_text(encoding="utf-8").strip()
    return AirflowClient(f"https://localhost:{PORTS['HTTPS']}", "admin", password)


@pytest.mark.full
def test_two_machines_are_proved(two_up: Run) -> None:
    prove(two_up)


@pytest.mark.full
def test_workflow_runs_on_the_other_machine(two_up: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    two_up("ssh", "--command", "sudo systemctl stop airflow-worker")
    job = {"job": {"text": {"class": "File", "path": "/var/lib/airflow/dags/two-step/inputs/fruit.txt"}}}
    two_up("ssh", "--command", f"sudo airflow dags trigger two-step --run-id other --conf '{json.dumps(job)}'")
    site = f"{SITE}-two"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(PROJECT / "credentials" / site / "ca.pem"))
    client, run = airflow(site), "dags/two-step/dagRuns/other"
    began = time.monotonic()
    while (state := client.get(run)["state"]) in ("queued", "running"):
        assert time.monotonic() - began < 180, state
        time.sleep(2)
    assert state == "success"
    tasks = client.get(f"{run}/taskInstances")["task_instances"]
    assert {task["hostname"] for task in tasks} == {WORKER}
    log = json.dumps(client.get(f"{run}/taskInstances/{tasks[0]['task_id']}/logs/1", full_content="true")["content"])
    assert f"https://{WORKER}:8793/" in log  # where it was read
    assert "::group::Post Execute" in log  # and that it is all of it


@pytest.mark.full
def test_two_machines_are_destroyed(two_up: Run) -> None:
    two_up("destroy", "--force")
    assert [name for name in names_of_containers() if name.startswith(f"{SITE}-two-")] == []
    volumes = subprocess.run(
        ["docker", "volume", "ls", "--quiet"], check=True, capture_output=True, text=True
    ).stdout.split()
    assert [volume for volume in volumes if volume.startswith(f"{SITE}-two-")] == []
