"""A part of the host is taken away in the middle of a step; the run ends well by itself, and nothing is run twice."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import pytest
from api import AIRFLOW, ask
from dags import IMAGE, containers, running_tasks, wait_for

#: Seconds that the second step takes.
LENGTH = 15
STEPS = {"one": 0, "two": LENGTH, "three": 0}


def step(name, before):
    """Return a step that waits, and adds its name to what the one before said."""
    script = f"sleep {STEPS[name]}; cat $(inputs.before ? inputs.before.path : '/dev/null'); echo {name}"
    return {
        "in": {"before": before} if before else {},
        "out": ["said"],
        "run": {
            "class": "CommandLineTool",
            "requirements": IMAGE,
            "inputs": {"before": "File?"},
            "arguments": ["sh", "-c", script],
            "outputs": {"said": "stdout"},
        },
    }


CHAIN = {
    "class": "Workflow",
    "requirements": {"InlineJavascriptRequirement": {}},
    "inputs": {},
    "outputs": {"said": {"type": "File", "outputSource": "three/said"}},
    "steps": {"one": step("one", None), "two": step("two", "one/said"), "three": step("three", "two/said")},
}

#: A step of five minutes.
LONG = step("two", None)["run"] | {"arguments": ["sh", "-c", "sleep 300; echo two"]}


@dataclass(frozen=True)
class Fault:
    """What happens to the host."""

    name: str
    #: The command that does it.
    do: str
    #: How many tries the second step may take.
    tries: int
    #: What ends it, and after how many seconds.
    undo: str = ""
    seconds: float = 0
    #: A unit that systemd has to start again.
    restarted: str = ""
    #: It is done to the host from outside.
    outside: bool = False


def killed(unit, tries):
    """Kill the main process of a unit."""
    return Fault(f"{unit} killed", f"systemctl kill --signal=KILL --kill-whom=main {unit}", tries)


def hung(unit, whom, tries):
    """Let the processes of a unit go no further."""
    return Fault(f"{unit} hung", f"systemctl kill --signal=STOP --kill-whom={whom} {unit}", tries, restarted=unit)


def stopped(unit, seconds):
    """Stop a unit for some time."""
    return Fault(f"{unit} stopped for {seconds} s", f"systemctl stop {unit}", 1, f"systemctl start {unit}", seconds)


#: Lets the worker consume no queue, as it may after its broker was away; it answers who asks.
CANCEL = """airflow-exec /opt/airflow/bin/python -W ignore -c '
from airflow.providers.celery.executors.celery_executor_utils import app
for worker, queues in app.control.inspect().active_queues().items():
    for queue in queues:
        app.control.cancel_consumer(queue["name"], destination=[worker], reply=True)
'"""
DISK_LIMIT = "rabbitmqctl set_disk_free_limit"

FAULTS = [
    killed("airflow-worker", 2),
    Fault("process of the task killed", "pkill -KILL -f '^airflow worker -- '", 2),
    Fault("process of the worker's pool killed", "pkill -KILL -f '^airflow supervisor: '", 2),
    stopped("rabbitmq-server", 30),
    Fault("docker restarted", "systemctl restart docker", 2),
    killed("mysql", 1),
    hung("airflow-scheduler", "all", 1),
]
#: These take longer, or are of the same kind.
MORE = [
    Fault("rabbitmq-server killed", "pkill -KILL beam.smp", 1),
    stopped("rabbitmq-server", 90),
    stopped("rabbitmq-server", 600),
    Fault(
        "disk of rabbitmq-server full for 60 s",
        f"{DISK_LIMIT} 1000GB",
        1,
        DISK_LIMIT + ' "$(sed -n "s/^disk_free_limit.absolute = //p" /etc/rabbitmq/rabbitmq.conf)"',
        60,
    ),
    Fault("worker that consumes nothing", CANCEL, 1),
    stopped("mysql", 90),
    killed("airflow-webserver", 1),
    stopped("airflow-webserver", 90),
    killed("docker", 2),
    killed("containerd", 2),
    killed("airflow-scheduler", 1),
    killed("airflow-dag-processor", 1),
    Fault("host cut from power", "docker kill {host} && docker start {host}", 2, outside=True),
    hung("airflow-worker", "main", 2),
    hung("airflow-webserver", "all", 1),
    hung("airflow-dag-processor", "all", 1),
    hung("airflow-triggerer", "all", 1),
    hung("airflow-cwl-api", "all", 1),
    hung("airflow-cwl-reports", "all", 1),
]

#: Says twice a second which containers run.
WATCH = "while :; do echo look; docker ps --no-trunc --format '{{.Command}}'; sleep 0.5; done"
WATCHER = "watch-containers"


@pytest.fixture
def most_at_once(host):
    """Return a function that tells how many containers of each step ran at once, at most."""
    host.run(f"systemctl stop {WATCHER}")
    since = host.check_output("date +%s")
    host.check_output(f"systemd-run --quiet --collect --unit={WATCHER} sh -c {shlex.quote(WATCH)}")

    def count():
        said = host.check_output(f"journalctl --quiet --output=cat --since=@{since} --unit={WATCHER}")
        most = Counter()
        for look in said.split("look\n"):
            most |= Counter(re.findall(rf"echo ({'|'.join(STEPS)})\b", look))
        return most

    yield count
    host.run(f"systemctl stop {WATCHER}")


def count_restarts(host, unit):
    """Return how often systemd has started a unit again."""
    return int(host.check_output(f"systemctl show --property=NRestarts --value {unit or 'mysql'}"))


def name_fault(fault):
    """Return how a test of a fault is called."""
    return re.sub(r"\W+", "-", fault.name)


@pytest.mark.parametrize(
    "fault", [*FAULTS, *(pytest.param(fault, marks=pytest.mark.full) for fault in MORE)], ids=name_fault
)
def test_a_run_survives(host, dag, most_at_once, fault):
    dag.write(CHAIN)
    dag.known()
    assert not containers(host)
    dag.trigger({"job": {}})
    wait_for("second step", lambda: containers(host, "echo two"), 90)
    restarts = count_restarts(host, fault.restarted)
    began = time.monotonic()
    time.sleep(LENGTH / 3)
    if fault.outside:
        subprocess.run(["sh", "-c", fault.do.format(host=host.backend.name)], check=True, stdout=subprocess.DEVNULL)
    else:
        host.check_output(fault.do)
    if fault.undo:
        time.sleep(fault.seconds)
        host.check_output(fault.undo)

    def ended():
        with suppress(AssertionError):  # the API server may be away
            return dag.state() in ("success", "failed")

    if fault.restarted:
        wait_for("restart", lambda: count_restarts(host, fault.restarted) > restarts, 120)
        print(f"\n{fault.restarted} is started again after {time.monotonic() - began - LENGTH / 3:.0f} s")
    wait_for("run", ended, 600)
    took = time.monotonic() - began
    state = dag.state()
    tasks = ask(host, "GET", f"{AIRFLOW}/dags/{dag.dag_id}/dagRuns/run/taskInstances")["task_instances"]
    tries = {task["task_id"]: task["try_number"] for task in tasks}
    most = most_at_once()
    print(f"\n{fault.name}: {state} {took:.0f} s after the second step began, {tries}, at once {dict(most)}")
    assert state == "success"
    said = host.check_output(f"cat {shlex.quote(dag.report()['said']['path'])}")
    assert said.split() == [*STEPS]
    assert most["two"] == 1 or fault.outside  # what was seen went with the power
    assert set(most.values()) <= {1}, "a step ran twice at the same time"
    # A worker that hangs loses no step that ends before it is killed.
    assert tries["two"] == fault.tries or (fault.restarted and tries["two"] == 1)
    del tries["two"]
    assert set(tries.values()) == {1}
    if fault.tries > 1 and not fault.restarted:
        assert "Try 1 of this task was lost" in dag.log("two", 2)
    assert not containers(host)
    assert not running_tasks(host)


@pytest.mark.full
def test_a_scheduler_that_starts_again_has_what_waits_for_the_broker(host, dag):
    dag.write(CHAIN)
    dag.known()
    host.check_output("systemctl stop rabbitmq-server")
    try:
        dag.trigger({"job": {}})
        wait_for("first task", lambda: "queued" in dag.tasks().values(), 60)
        host.check_output("systemctl restart airflow-scheduler")
        time.sleep(30)
    finally:
        host.check_output("systemctl start rabbitmq-server")
    assert dag.ended(300) == "success"
    tasks = ask(host, "GET", f"{AIRFLOW}/dags/{dag.dag_id}/dagRuns/run/taskInstances")["task_instances"]
    assert {task["try_number"] for task in tasks} == {1}


@pytest.mark.full
def test_a_step_that_the_broker_waits_for_too_long_runs_once(host, dag, most_at_once):
    """It closes the channel of a message that nobody has acknowledged for so long, and hands the message over again."""
    dag.write(LONG)
    dag.known()
    timeout = int(
        host.check_output("rabbitmqctl --quiet eval '{ok, T} = application:get_env(rabbit, consumer_timeout), T.'")
    )
    set_timeout = "rabbitmqctl --quiet eval 'application:set_env(rabbit, consumer_timeout, {}).'"
    host.check_output(set_timeout.format(60_000))
    host.check_output("systemctl restart airflow-worker")  # each channel has what was set when it was opened
    try:
        dag.trigger({"job": {}})
        assert dag.ended(600) == "success"
    finally:
        host.check_output(set_timeout.format(timeout))
        host.check_output("systemctl restart airflow-worker")
    assert "PRECONDITION_FAILED" in host.check_output("journalctl --unit=airflow-worker --since=-10min --output=cat")
    assert most_at_once() == {"two": 1}
    tasks = ask(host, "GET", f"{AIRFLOW}/dags/{dag.dag_id}/dagRuns/run/taskInstances")["task_instances"]
    assert {task["try_number"] for task in tasks} == {1}
    assert not containers(host)
