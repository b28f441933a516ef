"""What a task can read of the host's secrets, and a tool that a step runs on the host itself, without a container."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import yaml
from dags import IMAGE, running_tasks, tool, wait_for

FILES = [
    "/etc/airflow/administrator.json",
    "/etc/airflow/airflow.cfg",
    "/etc/airflow/worker.env",
    "/etc/airflow/credentials/*",
    "/etc/cwl-airflow/credentials/*",
    "/etc/default/airflow",
    "/etc/rabbitmq/definitions.json",
    "/run/credentials/*/*",
]
TABLE = Path(__file__).parents[3] / "wiring/credentials.yml"
MADE = [name for name, secret in yaml.safe_load(TABLE.read_text())["credentials"].items() if "value" in secret]
WHERE = "/etc /run /tmp /var/lib/airflow /var/tmp /proc/[0-9]*/environ"
ROLE = Path(__file__).parents[3] / "roles/airflow/vars/main.yml"
#: What Airflow and its providers call sensitive.
SENSITIVE = (
    "from airflow.configuration import conf; from airflow.providers_manager import ProvidersManager as P; "
    "P().initialize_providers_configuration(); sensitive = sorted(conf.sensitive_config_values); "
)


@pytest.fixture
def secrets(secret):
    """Return all secrets of the host, one a line."""
    key = [line for line in secret("report_private_key").splitlines() if not line.startswith("-")]
    return "\n".join([*map(secret, MADE), secret("mail_password"), key[1]])


def worker(host):
    """Return the main process of the worker."""
    return host.check_output("systemctl show --property=MainPID --value airflow-worker")


def found(host, secrets, where):
    """Return the files with a secret that the worker's user can read where the worker is."""
    canary = "/var/lib/airflow/cwl/inputs/canary"
    identity = "--setuid=$(id -u airflow) --setgid=$(getent group airflow-worker | cut -d: -f3)"
    search = f"nsenter --target={worker(host)} --mount --user {identity}"
    command = f"{search} sh -c {shlex.quote(f'grep --devices=skip -rlsF --file=- {canary} {where}')}"
    host.check_output(f"echo canary-of-the-test > {canary}")
    try:
        files = set(host.run(f"printf '%s\\ncanary-of-the-test' {shlex.quote(secrets)} | {command}").stdout.split())
    finally:
        host.run(f"rm {canary}")
    assert canary in files
    return files - {canary}


def test_a_tool_on_the_host_reads_no_secret(dag, host):
    units = host.check_output("systemctl list-units --plain --no-legend 'airflow-*.service' | cut -d' ' -f1").split()
    services = [unit for unit in units if "@" not in unit]  # those of JavaScript come and go
    assert len(services) == 8
    processes = host.check_output(f"systemctl show --property=MainPID --value {' '.join(services)}").split()
    files = " ".join(FILES + [f"/proc/{process}/{name}" for process in processes for name in ("environ", "mem")])
    script = f"echo tried; for file in {files}; do head -c 100 $file; done; env | grep AIRFLOW; true"
    dag.write(tool(script, outputs={"out": {"type": "stdout"}}))
    dag.trigger({"job": {}})
    assert dag.ended() == "success", dag.log(dag.dag_id)
    assert host.check_output(f"cat {dag.report()['out']['path']}") == "tried"


def test_no_secret_is_anywhere_that_a_task_can_read(dag, host, secrets):
    dag.write(tool("sleep 60", hints=IMAGE))
    dag.trigger({"job": {}})
    wait_for("container", lambda: host.run("pgrep --full 'docker run .*sleep'").rc == 0, 60)
    try:
        assert found(host, secrets, WHERE) == set()
    finally:
        dag.mark_failed()


def test_the_key_of_reports_is_no_variable(host):
    count = "SELECT COUNT(*) FROM airflow.variable WHERE `key` = 'process_report_private_key'"
    assert host.check_output(f"mysql --skip-column-names --execute={shlex.quote(count)}") == "0"


def test_a_killed_supervisor_leaves_no_secret(dag, host, secrets):
    dag.write(tool("sleep 20"))  # what goes on without it has ended before the DAG is removed
    dag.trigger({"job": {}})
    (task,) = wait_for("task", lambda: running_tasks(host), 60)
    host.check_output(f"kill -KILL $(ps --format ppid= --pid {task})")
    assert found(host, secrets, "/tmp") == set()


def airflow(host, program, stdin="/dev/null"):
    """Return what a program says that runs in Airflow's environment, and gets a file of root's to read."""
    command = f"airflow-exec python -c {shlex.quote(program)} < {stdin}"
    return json.loads(host.check_output(command).splitlines()[-1])


def test_the_workers_configuration_has_no_sensitive_option(host):
    program = (
        f"{SENSITIVE} import configparser, json, sys; "
        "file = configparser.RawConfigParser(); file.read_file(sys.stdin); assert file.sections(); "
        "print(json.dumps([option for option in sensitive if file.has_option(*option)]))"
    )
    assert airflow(host, program, "/etc/airflow/worker.cfg") == []


def test_the_role_knows_what_airflow_calls_sensitive(host):
    known = yaml.safe_load(ROLE.read_text(encoding="utf-8"))["__airflow_secret_options"]
    sensitive = airflow(host, f"{SENSITIVE} import json; print(json.dumps(sensitive))")
    assert sorted([section, name] for section, names in known.items() for name in names) == sensitive
