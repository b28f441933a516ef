"""`site.yml` is interrupted before what follows from a change, or comes twice: the next run does what is left."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from api import SERVER, curl
from conftest import MADE
from converging import PROJECT, converge, playbook
from dags import containers, running_tasks, wait_for
from private_key import private_key
from test_faults import CHAIN

LOCK = "/run/cwl-airflow-site.lock"


def interrupt(task, *arguments, **variables):
    """Kill `site.yml`, with all its processes, as soon as a task begins."""
    command = playbook(*arguments, **variables)
    with subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as run:
        for line in run.stdout or ():
            if line.startswith((f"TASK [{task}]", f"RUNNING HANDLER [{task}]")):
                os.killpg(run.pid, signal.SIGKILL)
                return
    pytest.fail(f"there was no task {task}")


@dataclass(frozen=True)
class Change:
    """A setting that takes effect by a handler."""

    role: str
    #: The setting.
    variables: dict[str, Any]
    #: The task after the one that writes it.
    task: str
    #: The command that shows what is in effect, and what it says then.
    shown: str
    value: str

    @property
    def name(self):
        """How its test is called."""
        return next(iter(self.variables))


#: Says 1 if a service started, or was loaded again, after a file changed.
LATER = (
    'echo $(($(date -d "$(systemctl show --property={} --value {})" +%s) >= $(stat --format=%Z {})))'  # since the epoch
)
CHANGES = [
    Change(
        "mysql",
        {"mysql_max_connections": 210},
        "mysql : Ask whether apt knows the server",
        "mysql --skip-column-names --execute='SELECT @@max_connections'",
        "210",
    ),
    Change(
        "rabbitmq",
        {"rabbitmq_memory_watermark": 0.55},
        "rabbitmq : Bind Erlang's port mapper",
        "rabbitmqctl --quiet eval 'vm_memory_monitor:get_vm_memory_high_watermark().'",
        "0.55",
    ),
    Change(
        "docker",
        {"docker_daemon_options": {"labels": ["changed=yes"]}},
        "docker : Write the daemon's proxies",
        "docker info --format '{{json .Labels}}'",
        '["changed=yes"]',
    ),
    Change(
        "docker",
        {"docker_container_host_ports": [9999]},
        "docker : Write the unit that loads them",
        "nft list ruleset | grep --count --word-regexp 9999",
        "1",
    ),
    Change(
        "base",
        {"base_sshd_options": {"LoginGraceTime": 90}},
        "base : See whether sshd has read them",
        LATER.format("StateChangeTimestamp", "ssh", "/etc/ssh/sshd_config.d/10-cwl-airflow.conf"),
        "1",
    ),
    Change(
        "proxy",
        {"proxy_logins_per_minute": 31},
        "proxy : Start it",
        LATER.format("StateChangeTimestamp", "nginx", "/etc/nginx/conf.d/site.conf"),
        "1",
    ),
    Change(
        "airflow",
        {"airflow_config": {"scheduler": {"orphaned_tasks_check_interval": 301}}},
        "airflow : Write the environment",
        LATER.format("ExecMainStartTimestamp", "airflow-scheduler", "/etc/airflow/airflow.cfg"),
        "1",
    ),
    Change(
        "cwl_airflow",
        {"cwl_airflow_javascript_processes": 70},
        "cwl_airflow : Open the socket of JavaScript",
        "systemctl show --property=MaxConnections --value airflow-cwl-javascript.socket",
        "70",
    ),
]
#: `make test` has these, the others take as long each.
FEW = ("mysql_max_connections",)


@pytest.mark.parametrize(
    "change",
    [pytest.param(each, id=each.name, marks=() if each.name in FEW else pytest.mark.full) for each in CHANGES],
)
def test_what_follows_from_a_change_comes_with_the_next_run(host, change):
    tags = f"--tags={change.role}"
    interrupt(change.task, tags, **change.variables)
    try:
        said = converge(tags, **change.variables)
        assert host.run(change.shown).stdout.strip() == change.value
        assert "RUNNING HANDLER" in said
        assert "RUNNING HANDLER" not in converge(tags, **change.variables)
    finally:
        converge(tags)


def test_a_broker_that_does_not_let_the_password_in_gets_it(host):
    password = Path(os.environ["CREDENTIALS"]) / "rabbitmq_airflow"
    before = password.read_text(encoding="utf-8")
    try:
        password.write_text(f"{before.strip()}x\n", encoding="utf-8")
        interrupt("rabbitmq : Install the broker", "--tags=rabbitmq")
    finally:
        password.write_text(before, encoding="utf-8")
    host.check_output("rabbitmqctl import_definitions /etc/rabbitmq/definitions.json")  # as at its next start
    assert not host.run("cwl-airflow-check amqp").succeeded
    assert "changed=2 " in converge("--tags=rabbitmq")  # the file, and what the broker has of it
    assert host.run("cwl-airflow-check amqp").succeeded


@pytest.mark.full
def test_the_second_of_two_is_told_who_is_at_work(host):
    with subprocess.Popen(
        playbook(), cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as first:
        wait_for("lock", lambda: host.run(f"cat {LOCK}").stdout.strip(), 300)
        second = subprocess.run(playbook(), cwd=PROJECT, capture_output=True, text=True, check=False)
        said, _ = first.communicate()
    assert first.returncode == 0, said[-4000:]
    assert second.returncode != 0
    assert f"is changing this site (process {first.pid} there)" in " ".join(second.stdout.split())
    assert "changed=0 " in second.stdout
    assert not host.run(f"cat {LOCK}").stdout.strip()


@pytest.mark.full
def test_a_step_goes_on_while_its_site_changes(host, dag):
    dag.write(CHAIN)
    dag.known()
    dag.trigger({"job": {}})
    wait_for("second step", lambda: containers(host, "echo two"), 90)
    variables = {"airflow_config": {"celery": {"worker_prefetch_multiplier": 2}}}
    try:
        assert "airflow : Restart the worker when its steps have ended" in converge("--tags=airflow", **variables)
        assert dag.ended() == "success"
        assert {*dag.tasks().values()} == {"success"}
        assert not host.run(f"ls {dag.logs('two')}/attempt=2.log").succeeded
    finally:
        converge("--tags=airflow")
    assert not running_tasks(host)


#: Tasks with which every other one of the roles' changes begins.
MOMENTS = [
    "rabbitmq : Install the broker",
    "mysql : Create the user",
    "airflow : Write the configuration",
    "airflow : Write the units",
    "airflow : Look for running steps",
]


@pytest.mark.full
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_site_that_was_interrupted_converges(host, moment):
    """Each with all secrets new."""
    folder = Path(os.environ["CREDENTIALS"])

    def log_in(password):
        body = json.dumps({"username": "admin", "password": password})
        return curl(host, f"{SERVER}/auth/token", body=body)[0]

    before = (folder / "airflow_admin").read_text(encoding="utf-8").strip()
    for name in MADE:
        word = secrets.token_hex(16)
        made = {"ca_key": private_key(None), "fernet_key": base64.b64encode(word.encode()).decode()}.get(name, word)
        (folder / name).write_text(f"{made * 2 if name == 'jwt_secret' else made}\n", encoding="utf-8")
    interrupt(moment)
    converge()
    assert log_in((folder / "airflow_admin").read_text(encoding="utf-8").strip()) == 201
    assert log_in(before) == 401
    assert "changed=0 " in converge()
