"""A box of the whole host under real Vagrant and QEMU: pytest tests/vagrant/test_libvirt_box.py --box FILE.

Without KVM the machine is emulated, some ten times slower than native.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PROJECT, Run, runner

UNITS = ["airflow-webserver", "airflow-scheduler", "airflow-worker", "airflow-flower", "airflow-cwl-api"]
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
  end
end
"""


@pytest.fixture(scope="session")
def box(pytestconfig: pytest.Config) -> Path:
    """Return the box to test."""
    name = pytestconfig.getoption("box")
    if not name:
        raise pytest.UsageError("name a box: --box build/….box")
    return Path(name).resolve()


@pytest.fixture(scope="session")
def machine(box: Path, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Add the box and return a function that runs vagrant in a folder with a machine of it."""
    folder = tmp_path_factory.mktemp(NAME)
    home = PROJECT / "build/vagrant-home"
    environment = {**os.environ, "VAGRANT_HOME": str(home), "VAGRANT_CHECKPOINT_DISABLE": "1"}
    driver = pytestconfig.getoption("libvirt_driver")
    (folder / "Vagrantfile").write_text(VAGRANTFILE.format(box=NAME, driver=driver), encoding="utf-8")
    run = runner(folder, environment)
    try:
        run("box", "add", "--name", NAME, str(box))
        yield run
    finally:
        run("destroy", "--force", succeeds=None)
        run("box", "remove", "--force", NAME, succeeds=None)
        # vagrant-libvirt copies a box's disk into the storage pool and leaves it there.
        subprocess.run(
            ["virsh", "-c", "qemu:///system", "vol-delete", "--pool", "default", f"{NAME}_vagrant_box_image_0_box.img"],
            check=False,
        )
        shutil.rmtree(home, ignore_errors=True)


def guest(machine: Run, command: str) -> str:
    """Run a command on the machine."""
    return machine("ssh", "--command", command)


def wait_until_active(machine: Run) -> None:
    """Wait until all units are active and the webserver answers."""
    command = (
        f"systemctl is-active {' '.join(UNITS)}; curl -s -o /dev/null -w %{{http_code}} http://127.0.0.1:8080/health"
    )
    began = time.monotonic()
    while True:
        states = machine("ssh", "--command", command, succeeds=None).split()
        if states == ["active"] * len(UNITS) + ["200"]:
            return
        assert time.monotonic() - began < 900, states
        time.sleep(10)


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
    names = [
        "airflow_admin",
        "fernet_key",
        "mysql_airflow",
        "rabbitmq_admin",
        "rabbitmq_airflow",
        "webserver_secret_key",
    ]
    assert listing == [f"{name} 600 root" for name in names]
    login = (
        'printf \'user = "admin:%s"\' "$(sudo cat '
        + CREDENTIALS
        + '/{})" | curl -s -o /dev/null -w %{{http_code}} -K - {}'
    )
    assert guest(machine, login.format("airflow_admin", "http://127.0.0.1:8080/api/v1/dags")) == "200"
    assert guest(machine, login.format("rabbitmq_admin", "http://127.0.0.1:15672/api/overview")) == "200"
    assert guest(machine, login.format("rabbitmq_admin", "http://127.0.0.1:8080/api/v1/dags")) == "401"


def test_workflow_runs(machine: Run) -> None:
    job = json.dumps({"job": {"text": {"class": "File", "path": "/var/lib/airflow/dags/two-step/inputs/fruit.txt"}}})
    guest(machine, f"sudo airflow dags trigger two-step --run-id box --conf '{job}'")
    began = time.monotonic()
    while True:
        runs = json.loads(guest(machine, "sudo airflow dags list-runs --dag-id two-step --output json"))
        state = runs[0]["state"]
        if state in ("success", "failed"):
            break
        assert time.monotonic() - began < 900, state
        time.sleep(15)
    assert state == "success"


def test_machine_comes_up_again_with_the_same_secrets(machine: Run) -> None:
    before = guest(machine, f"sudo sh -c 'cat {CREDENTIALS}/*' | sha256sum")
    machine("reload")
    wait_until_active(machine)
    assert guest(machine, f"sudo sh -c 'cat {CREDENTIALS}/*' | sha256sum") == before
