"""What the first boot of a machine from a box puts in the place of the secrets with which the box was built."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
TABLE = yaml.safe_load((PROJECT / "wiring/credentials.yml").read_text(encoding="utf-8"))["credentials"]
#: All secrets that a machine makes for itself.
NAMES = sorted(name for name, secret in TABLE.items() if "value" in secret)
OLD = {name: f"old-{name}" for name in NAMES}
CONFIGURATION = """\
[celery]
broker_url = amqp://airflow:old-rabbitmq_airflow@127.0.0.1:5672/airflow
flower_basic_auth = boss:old-airflow_admin
[core]
fernet_key = old-fernet_key
[database]
sql_alchemy_conn = mysql+mysqldb://airflow:old-mysql_airflow@127.0.0.1:3306/airflow?charset=utf8mb4
[api]
secret_key = old-webserver_secret_key
[api_auth]
jwt_secret = old-jwt_secret
"""


class Machine:
    """A machine with the files of the box; what the program runs is only noted."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Write the files, and load the program beside those that it reads."""
        for name in ("files/box/renew_secrets.py", "roles/airflow/files/administrator.py"):
            shutil.copy(PROJECT / name, folder)
        (folder / "credentials.json").write_text(json.dumps(NAMES), encoding="utf-8")
        specification = importlib.util.spec_from_file_location("renewed", folder / "renew_secrets.py")
        assert specification and specification.loader
        self.program: Any = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(self.program)
        self.folder = folder
        self.given: list[tuple[str, str]] = []
        self.write("airflow.cfg", CONFIGURATION)
        self.write("worker.env", "URL=mysql://airflow:old-mysql_airflow@127.0.0.1\n")
        self.write("administrator.json", '{"user": "boss", "password": "old-airflow_admin"}\n')
        self.write("definitions.json", json.dumps({"users": [{"name": "airflow"}, {"name": "admin"}]}))
        self.write("machine-id", "1")
        places = {
            "ADMINISTRATOR": "administrator.json",
            "BROKER_DATA": "rabbitmq",
            "CONFIGURATION": "airflow.cfg",
            "CREDENTIALS": "credentials",
            "DEFINITIONS": "definitions.json",
            "DONE_FOR": "done-for",
            "MAINTENANCE": "debian.cnf",
            "WORKER_ENVIRONMENT": "worker.env",
        }
        for name, place in places.items():
            monkeypatch.setattr(self.program, name, folder / place)
        monkeypatch.setattr(self.program, "MACHINE_IDS", [folder / "machine-id"])
        monkeypatch.setattr(self.program, "run", lambda *command, text: self.given.append((command[0], text)))
        answer = subprocess.CompletedProcess([], 0, "ALTER USER …;", "")
        monkeypatch.setattr(self.program.subprocess, "run", lambda *_, **__: answer)

    def read(self, name: str) -> str:
        """Return what a file says."""
        return (self.folder / name).read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def secret(self, name: str) -> str:
        """Return a secret of the machine."""
        return self.read(f"credentials/{name}").strip()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_no_secret_of_the_box_is_left(machine: Machine) -> None:
    machine.program.main()
    texts = [machine.read(name) for name in ("airflow.cfg", "worker.env", "administrator.json", "definitions.json")]
    assert not [old for old in OLD.values() if old in "".join(texts)]
    assert len({machine.secret(name) for name in NAMES}) == len(NAMES)


def test_the_packages_own_account_gets_another_password(machine: Machine) -> None:
    machine.write(
        "debian.cnf", "[client]\nuser     = maint\npassword = old\n[mysql_upgrade]\nuser = maint\npassword = old\n"
    )
    machine.program.main()
    lines = machine.read("debian.cnf").splitlines()
    assert lines[2] == lines[5] != "password = old"
    password = lines[2].removeprefix("password = ")
    assert ("mysql", f"ALTER USER IF EXISTS 'maint'@'localhost' IDENTIFIED BY '{password}';") in machine.given


def test_the_administrators_password_is_the_same_everywhere(machine: Machine) -> None:
    machine.program.main()
    password = machine.secret("airflow_admin")
    assert json.loads(machine.read("administrator.json")) == {"user": "boss", "password": password}
    assert f"flower_basic_auth = boss:{password}\n" in machine.read("airflow.cfg")
    command, text = machine.given[-1]
    assert command.endswith("airflow-exec")
    assert json.loads(text) == {"name": "boss", "email": "admin@example.org", "password": password}


def test_an_interrupted_run_is_taken_up(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    write = machine.program.write

    def interrupted(path: Path, text: str) -> None:
        if path.name == "airflow.cfg":
            raise KeyboardInterrupt
        write(path, text)

    with monkeypatch.context() as patched:
        patched.setattr(machine.program, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            machine.program.main()
    machine.program.main()
    password = machine.secret("airflow_admin")
    assert json.loads(machine.read("administrator.json"))["password"] == password
    assert f"flower_basic_auth = boss:{password}\n" in machine.read("airflow.cfg")


def test_a_machine_keeps_its_secrets(machine: Machine) -> None:
    machine.program.main()
    before = machine.read("airflow.cfg")
    machine.program.main()
    assert machine.read("airflow.cfg") == before
    machine.write("machine-id", "2")
    machine.program.main()
    assert machine.read("airflow.cfg") != before
