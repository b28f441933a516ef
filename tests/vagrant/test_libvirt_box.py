"""A box of the whole host under real Vagrant and QEMU: pytest tests/vagrant/test_libvirt_box.py --box FILE.

Its machines have a network that leads nowhere, from their first boot on. Without KVM they are emulated, some
ten times slower than native.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT, Run, runner

SERVICES = "webserver scheduler dag-processor triggerer worker flower cwl-api cwl-reports"
UNITS = [f"airflow-{service}" for service in SERVICES.split()]
#: Which takes the administrator's login, without a token.
API = "http://127.0.0.1:8081/api/experimental/wes/service-info"
CREDENTIALS = "/etc/cwl-airflow/credentials"
NAME = "cwl-airflow-test"
VAGRANTFILE = """\
Vagrant.configure("2") do |config|
  config.vm.box = "{box}"
  config.vm.boot_timeout = 900
  config.vm.synced_folder ".", "/vagrant", disabled: true
  config.vm.provider :libvirt do |libvirt|
    libvirt.driver = "{driver}"
    libvirt.memory = 4096
    libvirt.cpus = 2
    libvirt.management_network_name = "{network}"
    libvirt.management_network_address = "192.168.198.0/24"
    libvirt.management_network_mode = "none"
  end
end
"""


def remove_machines() -> None:
    """Remove all machines of this test, also those that an interrupted run left."""
    subprocess.run([Path(__file__).with_name("remove-machines")], check=True)


class Machines:
    """Machines of boxes, each in a folder of its own, with a home of Vagrant's own."""

    def __init__(self, folder: Path, driver: str) -> None:
        """Note where the machines live, and make sure that there are none."""
        remove_machines()
        self.folder = folder
        self.driver = driver
        self.home = PROJECT / "build/vagrant-home"
        self.environment = {
            **os.environ,
            "VAGRANT_HOME": str(self.home),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            # libguestfs starts a machine itself when a box is packaged.
            "LIBGUESTFS_BACKEND": "direct",
            **({"LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"} if driver == "qemu" else {}),
        }
        self.made: dict[str, Run] = {}

    def add(self, name: str, box: Path) -> Run:
        """Add a box and return a function that runs vagrant in a folder with a machine of it."""
        folder = self.folder / name
        folder.mkdir()
        (folder / "Vagrantfile").write_text(
            VAGRANTFILE.format(box=name, driver=self.driver, network=NAME), encoding="utf-8"
        )
        self.made[name] = runner(folder, self.environment)
        self.made[name]("box", "add", "--name", name, str(box))
        return self.made[name]

    def remove(self) -> None:
        """Remove machines, boxes, and what vagrant-libvirt leaves."""
        for run in self.made.values():
            run("destroy", "--force", succeeds=None)
        remove_machines()


@pytest.fixture(scope="session")
def machines(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Return the machines, which are removed afterwards."""
    machines = Machines(tmp_path_factory.mktemp(NAME), pytestconfig.getoption("libvirt_driver"))
    try:
        yield machines
    finally:
        machines.remove()


@pytest.fixture(scope="session")
def machine(machines: Machines, pytestconfig: pytest.Config) -> Run:
    """Return a function that runs vagrant in a folder with a machine of the box to test."""
    name = pytestconfig.getoption("box")
    if not name:
        raise pytest.UsageError("name a box: --box build/….box")
    return machines.add(NAME, Path(name).resolve())


@pytest.fixture(scope="session")
def machine_of_package(machines: Machines, machine: Run) -> Run:
    """Package the machine and return a function that runs vagrant in a folder with a machine of that box."""
    package = machines.folder / "package.box"
    machine("package", "--output", str(package))
    machine("destroy", "--force")  # two emulated machines at once would slow each other down
    return machines.add(f"{NAME}-package", package)


def guest(machine: Run, command: str) -> str:
    """Run a command on the machine."""
    return machine("ssh", "--command", command)


def wait_until_active(machine: Run) -> None:
    """Wait until all units are active and the API server answers."""
    health = "http://127.0.0.1:8080/api/v2/monitor/health"
    command = f"systemctl is-active {' '.join(UNITS)}; curl -s -o /dev/null -w %{{http_code}} {health}"
    began = time.monotonic()
    while True:
        states = machine("ssh", "--command", command, succeeds=None).split()
        if states == ["active"] * len(UNITS) + ["200"]:
            return
        assert time.monotonic() - began < 900, states
        time.sleep(10)


def secrets(machine: Run) -> list[str]:
    """Return checksums of all that only one machine may have: secrets, machine-id, host keys."""
    files = f"{CREDENTIALS}/* /etc/machine-id /etc/ssh/ssh_host_*_key /var/lib/rabbitmq/.erlang.cookie"
    return guest(machine, f"sudo sh -c 'sha256sum {files}'").splitlines()


def run_two_step(machine: Run) -> None:
    """Run the workflow two-step on the machine, through REST, and compare its output with the expected one."""
    assert "two-step/numbered: " in guest(machine, "sudo cwl-airflow-verify --timeout 1200 two-step")


def verify(machine: Run, *workflows: str) -> str:
    """Prove the machine as any host is proved, with the workflows named, and return what Ansible prints."""
    config = dict(line.split(maxsplit=1) for line in machine("ssh-config").splitlines() if line.startswith("  "))
    site = PROJECT / "credentials" / NAME
    site.mkdir(mode=0o700, parents=True, exist_ok=True)
    host = {
        "ansible_host": config["HostName"],
        "ansible_port": int(config["Port"]),
        "ansible_user": config["User"],
        "ansible_ssh_private_key_file": config["IdentityFile"].strip('"'),
        "ansible_ssh_common_args": "-o UserKnownHostsFile=/dev/null",
        "site_name": NAME,
        "verify_timeout": 1500,  # s
        "cwl_airflow_workflows": [str(PROJECT / "files/workflows" / name) for name in workflows],
    }
    groups = ("database", "broker", "webserver", "scheduler", "worker", "flower", "cwl_api")
    inventory = {"all": {"hosts": {NAME: host}, "children": {group: {"hosts": {NAME: {}}} for group in groups}}}
    try:
        for name in guest(machine, f"sudo ls {CREDENTIALS}").split():
            (site / name).write_text(guest(machine, f"sudo cat {CREDENTIALS}/{name}"), encoding="utf-8")
        (site / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
        done = subprocess.run(
            [str(PROJECT / ".venv/bin/ansible-playbook"), "-i", "inventories/vagrant",
             "-i", str(site / "inventory.json"), "playbooks/verify.yml"],
            cwd=PROJECT, capture_output=True, text=True, check=False, timeout=1800,
        )  # fmt: skip
    finally:
        shutil.rmtree(site)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return done.stdout


def test_machine_comes_up(machine: Run) -> None:
    machine("up", "--provider=libvirt")
    wait_until_active(machine)
    assert guest(machine, "systemctl --failed --no-legend --plain") == ""


def test_insecure_keys_are_gone(machine: Run) -> None:
    keys = guest(machine, "cat .ssh/authorized_keys").splitlines()
    insecure = (PROJECT / "roles/vagrant_guest/files/vagrant.pub").read_text(encoding="utf-8").split()
    assert len([key for key in keys if key.startswith("ssh-")]) == 1
    assert not [key for key in keys if set(key.split()[1:2]) & set(insecure)]


def test_root_has_grown(machine: Run) -> None:
    assert int(guest(machine, "df --output=size --block-size=1G / | tail -n 1")) > 240


def test_secrets_are_the_machines_own(machine: Run) -> None:
    listing = guest(machine, f"sudo sh -c 'cd {CREDENTIALS} && stat -c \"%n %a %U\" *'").splitlines()
    table = yaml.safe_load((PROJECT / "wiring/credentials.yml").read_text(encoding="utf-8"))["credentials"]
    names = sorted(name for name, secret in table.items() if "value" in secret and name != "ca_key")
    assert listing == [f"{name} 600 root" for name in names]
    login = (
        'printf \'user = "admin:%s"\' "$(sudo cat '
        + CREDENTIALS
        + '/{})" | curl -s -o /dev/null -w %{{http_code}} -K - {}'
    )
    assert guest(machine, login.format("airflow_admin", API)) == "200"
    assert guest(machine, login.format("rabbitmq_admin", "http://127.0.0.1:15672/api/overview")) == "200"
    assert guest(machine, login.format("rabbitmq_admin", API)) in ("401", "403")


def test_ports_are_forwarded(machine: Run) -> None:
    password = guest(machine, f"sudo cat {CREDENTIALS}/airflow_admin").strip()
    login = base64.b64encode(f"admin:{password}".encode()).decode()
    for page in ("8080/api/v2/monitor/health", "8081/api/experimental/wes/service-info", "5555/api/workers"):
        request = urllib.request.Request(f"http://127.0.0.1:{page}", headers={"Authorization": f"Basic {login}"})
        with urllib.request.urlopen(request, timeout=60) as answer:  # 401: the port is another host's
            assert answer.status == 200, page


def test_network_leads_nowhere(machine: Run) -> None:
    assert guest(machine, "ip route show default") == ""


def test_machine_is_proved(machine: Run) -> None:
    verify(machine, "two-step")


def test_machine_comes_up_again_as_it_was(machine: Run) -> None:
    before = secrets(machine)
    machine("reload")
    wait_until_active(machine)
    assert secrets(machine) == before
    run_two_step(machine)


def test_machine_of_a_package_has_secrets_of_its_own(machine: Run, request: pytest.FixtureRequest) -> None:
    before = secrets(machine)
    machine_of_package: Run = request.getfixturevalue("machine_of_package")
    machine_of_package("up", "--provider=libvirt")
    wait_until_active(machine_of_package)
    after = secrets(machine_of_package)
    assert [line.split()[1] for line in after] == [line.split()[1] for line in before]
    assert {line.split()[0] for line in after} & {line.split()[0] for line in before} == set()


def test_machine_of_a_package_is_proved(machine_of_package: Run) -> None:
    run_two_step(machine_of_package)
