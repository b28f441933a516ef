"""A host, or what it asks, goes away in the middle of a step; the run ends well by itself, and nothing runs twice."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import time
from collections import Counter
from contextlib import contextmanager

import pytest
import testinfra
from api import ask
from converging import PROJECT, converge, playbook
from dags import Dag, wait_for
from locks import other_lock
from receiver import Receiver

NETWORK = "molecule-cluster"
ADDRESSES = {"cluster-head": "192.168.65.12", "cluster-node-1": "192.168.65.13", "cluster-node-2": "192.168.65.14"}
NODES = ["cluster-node-1", "cluster-node-2"]
AIRFLOW = ["cluster-head", *NODES]
#: Where each try of the long step notes when it began, and that it goes on, all of them in one folder that is shared.
NOTES = "/var/lib/airflow/cwl/outputs/notes"
LENGTH = 20


def docker(*arguments):
    """Do something to a host from outside."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def at(name):
    """Return a host."""
    return testinfra.get_host(f"docker://{name}")


def chain(seconds):
    """Return a workflow of three steps, of which the second one says every second that it is at work."""
    # Backticks, as $( ) is an expression of CWL's.
    notes = f"for second in `seq {seconds}`; do echo `hostname` $$ `date +%s` >> {NOTES}; sleep 1; done"
    steps = {}
    for name, before, script in (("one", None, "true"), ("two", "one", notes), ("three", "two", "true")):
        steps[name] = {
            "in": {"before": f"{before}/said"} if before else {},
            "out": ["said"],
            "run": {
                "class": "CommandLineTool",
                "inputs": {"before": "File?"},
                "arguments": ["sh", "-c", f"{script}; echo {name}"],
                "outputs": {"said": "stdout"},
            },
        }
    return {
        "class": "Workflow",
        "inputs": {},
        "outputs": {"said": {"type": "File", "outputSource": "three/said"}},
        "steps": steps,
    }


@pytest.fixture
def head():
    """Return the host of the web pages."""
    return at("cluster-head")


@pytest.fixture
def dag(head, request):
    """Return a DAG of three steps, and no notes."""
    made = Dag(head, re.sub(r"[^a-z0-9]+", "-", request.node.name))
    head.run(f"rm --force {NOTES}")
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def both_serve_default(head):
    """Let both workers take what steps go to."""
    control(head, "add_consumer", "cluster-node-2")
    yield
    control(head, "cancel_consumer", "cluster-node-2")


def control(host, what, node):
    """Tell a worker to begin or to stop taking tasks from the queue `default`."""
    script = (
        "from airflow.providers.celery.executors.celery_executor import app; "
        f"print(app.control.{what}('default', destination=['celery@{node}'], reply=True, timeout=10))"
    )
    answer = host.check_output(f"airflow-exec python -c {shlex.quote(script)}")
    assert "ok" in answer, answer


def notes(head):
    """Return host, process and second of each note of the long step."""
    lines = head.run(f"cat {NOTES}").stdout.splitlines()
    return [(host, process, int(second)) for host, process, second in map(str.split, lines)]


def task(dag, name="two"):
    """Return a task of the run."""
    return ask(dag.host, "GET", f"{dag.url}/dagRuns/run/taskInstances/{name}")


def begun(dag, seconds=LENGTH):
    """Begin a run, and return the host that runs the long step."""
    dag.write(chain(seconds))
    dag.trigger({"job": {}})
    return wait_for("second step", lambda: notes(dag.host), 120)[0][0]


def never_twice_at_a_time(found):
    """Tell whether each try ended before the next one began."""
    order = [key for key, _ in Counter((host, process) for host, process, _ in found).items()]
    spans = [[second for host, process, second in found if (host, process) == key] for key in order]
    spans.sort()
    return all(earlier[-1] <= later[0] for earlier, later in itertools.pairwise(spans))


def ended(dag, fault, began, tries, seconds=900):
    """Wait for the end of the run, look at it, and say how long it took."""
    assert dag.ended(seconds) == "success"
    print(f"\n| {fault} | {task(dag)['try_number']} | {time.monotonic() - began:.0f} s |")
    assert task(dag)["try_number"] <= tries
    assert never_twice_at_a_time(notes(dag.host)), notes(dag.host)
    assert dag.report()["said"]["class"] == "File"


def booted(name):
    """Wait until a host has started."""
    docker("start", name)
    up = ["docker", "exec", name, "systemctl", "is-system-running", "--wait"]
    subprocess.run(up, check=False, capture_output=True, timeout=300)


@contextmanager
def cut_off(name, seconds):
    """Take a host off the network for some time."""
    docker("network", "disconnect", NETWORK, name)
    try:
        time.sleep(seconds)
        yield
    finally:
        docker("network", "connect", "--ip", ADDRESSES[name], NETWORK, name)


@pytest.mark.full
@pytest.mark.usefixtures("both_serve_default")
def test_a_worker_host_that_is_killed(dag):
    """The step runs again on the other worker; what ran on the dead host does not go on when that is back."""
    on = begun(dag, 60)
    began = time.monotonic()
    docker("kill", on)
    try:
        ended(dag, "worker host killed", began, 2)
        assert {host for host, _, _ in notes(dag.host)} == set(NODES)
    finally:
        booted(on)
    before = len(notes(dag.host))
    time.sleep(5)
    assert len(notes(dag.host)) == before
    assert at(on).check_output("docker ps --quiet") == ""


def test_the_scheduler_that_owns_a_run_is_killed(dag, head):
    """The other one goes on."""
    begun(dag)
    began = time.monotonic()
    head.check_output("systemctl kill --signal=KILL airflow-scheduler; systemctl stop airflow-scheduler")
    try:
        ended(dag, "scheduler killed", began, 1)
    finally:
        head.check_output("systemctl start airflow-scheduler")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        pytest.param("cluster-mq", "rabbitmq-server", id="broker"),
        pytest.param("cluster-db", "mysql", id="database", marks=pytest.mark.full),
    ],
)
def test_a_server_is_started_again(dag, name, unit):
    begun(dag)
    began = time.monotonic()
    at(name).check_output(f"systemctl restart {unit}")
    ended(dag, f"{unit} restarted", began, 1)


@pytest.mark.full
@pytest.mark.usefixtures("both_serve_default")
def test_a_worker_is_off_the_network_for_two_minutes(dag):
    """Its step goes on."""
    on = begun(dag, 150)
    began = time.monotonic()
    with cut_off(on, 120):
        pass
    ended(dag, "worker off the network for 120 s", began, 1)


@pytest.mark.full
@pytest.mark.usefixtures("both_serve_default")
def test_a_worker_is_off_the_network_for_long(dag):
    """It ends its step by itself, before the other one begins it again."""
    on = begun(dag, 180)
    began = time.monotonic()
    with cut_off(on, 0):
        ended(dag, "worker off the network for good", began, 2)
    assert {host for host, _, _ in notes(dag.host)} == set(NODES)


@pytest.mark.full
def test_the_host_of_the_web_pages_is_gone_for_a_minute(dag):
    """Tasks go on: they tell the API server later."""
    begun(dag, 40)
    began = time.monotonic()
    with cut_off("cluster-head", 60):
        pass
    ended(dag, "web host off the network for 60 s", began, 1)


@pytest.mark.full
def test_the_site_is_set_up_again_during_a_step(dag, head):
    """With a change for each service: what it reports from then on arrives."""
    begun(dag, 60)
    began = time.monotonic()
    receiver = Receiver(head)
    receiver.start()
    try:
        converge(cwl_airflow_report_url="http://127.0.0.1:18080", airflow_config={"core": {"parallelism": 40}})
        ended(dag, "site.yml", began, 1)
        assert receiver.wait(dag.dag_id, "results")
    finally:
        receiver.stop()


@pytest.mark.full
def test_a_run_is_stopped_on_the_host_where_it_is(dag, head):
    """`cwl-airflow-stop` reaches every worker, over the broker."""
    begun(dag, 300)
    head.check_output(f"cwl-airflow-stop {dag.dag_id} run")
    assert not ask(head, "GET", f"{dag.url}/dagRuns/run", missing=True)
    before = len(notes(head))
    time.sleep(5)
    assert len(notes(head)) == before


@pytest.mark.full
def test_a_worker_is_drained(dag):
    """It ends its step, takes no more, and is back with site.yml."""
    on = begun(dag, 30)
    drain = playbook("--limit", on, name="playbooks/drain.yml", drain_pause=2)
    done = subprocess.run(drain, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    try:
        assert not at(on).service("airflow-worker").is_running
        assert task(dag)["state"] == "success"
    finally:
        converge("--limit", on)
    assert dag.ended(120) == "success"


@pytest.mark.full
def test_the_site_gets_another_release(dag, tmp_path):
    """The step that runs ends first, each host has the release afterwards, and the run goes on."""
    begun(dag, 60)
    began = time.monotonic()
    upgrade = playbook(name="playbooks/upgrade.yml", airflow_requirements=str(other_lock(tmp_path)))
    done = subprocess.run(upgrade, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    ended(dag, "upgrade", began, 1)
    version = "from importlib.metadata import version; print(version('humanize'))"
    assert {at(name).check_output(f'/opt/airflow/bin/python -c "{version}"') for name in AIRFLOW} == {"4.15.0"}
