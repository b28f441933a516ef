"""A host, or what it asks, goes away in the middle of a step; the run ends well by itself, and nothing runs twice."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

import pytest
import testinfra
from api import ask
from converging import PROJECT, converge, playbook
from dags import IMAGE, Dag, containers, wait_for
from locks import other_lock
from receiver import Receiver

NETWORK = "molecule-cluster"
#: A worker that is not there at first.
THIRD = "cluster-node-3"
ADDRESSES = {
    "cluster-head": "192.168.65.12",
    "cluster-node-1": "192.168.65.13",
    "cluster-node-2": "192.168.65.14",
    THIRD: "192.168.65.15",
}
NODES = ["cluster-node-1", "cluster-node-2"]
AIRFLOW = ["cluster-head", *NODES]
#: By which the container of the long step is known.
MARK = "echo second"
LENGTH = 20


def docker(*arguments):
    """Do something to a host from outside."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def at(name):
    """Return a host."""
    return testinfra.get_host(f"docker://{name}")


def chain(seconds):
    """Return a workflow of three steps in containers, of which the second one takes so long."""
    steps = {}
    for name, before, script in (
        ("one", None, "echo first"),
        ("two", "one", f"{MARK}; sleep {seconds}"),
        ("three", "two", "echo third"),
    ):
        steps[name] = {
            "in": {"before": f"{before}/said"} if before else {},
            "out": ["said"],
            "run": {
                "class": "CommandLineTool",
                "hints": IMAGE,
                "inputs": {"before": "File?"},
                "arguments": ["sh", "-c", script],
                "outputs": {"said": "stdout"},
            },
        }
    return {
        "class": "Workflow",
        "inputs": {},
        "outputs": {"said": {"type": "File", "outputSource": "three/said"}},
        "steps": steps,
    }


class Watch(threading.Thread):
    """Looks again and again, from outside, on which host containers of the long step run."""

    def __init__(self):
        """Begin with nothing seen."""
        super().__init__(daemon=True)
        #: Host, container and second of each that was seen.
        self.seen = []
        self.ended = threading.Event()

    def run(self):
        """Look until it is enough."""
        while not self.ended.wait(0.5):
            for name in NODES:
                # A host that is down has none, which is no error, nor is one that is busy.
                with suppress(subprocess.TimeoutExpired):
                    self._look(name)

    def _look(self, name):
        command = ["docker", "exec", name, "docker", "ps", "--no-trunc", "--format", "{{.ID}} {{.Command}}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        lines = [line for line in done.stdout.splitlines() if MARK in line]
        self.seen += [(name, line.split()[0], time.monotonic()) for line in lines]

    def hosts(self):
        """Return on which hosts there was one."""
        return {name for name, _, _ in self.seen}

    def never_two_at_a_time(self):
        """Tell whether each ended before the next one began."""
        spans = {}
        for _, container, second in self.seen:
            first, _ = spans.get(container, (second, second))
            spans[container] = (first, second)
        order = sorted(spans.values())
        return all(earlier[1] < later[0] for earlier, later in itertools.pairwise(order))


@pytest.fixture
def watch():
    """Return who looks."""
    looks = Watch()
    looks.start()
    yield looks
    looks.ended.set()
    looks.join()


@pytest.fixture
def head():
    """Return the host of the web pages."""
    return at("cluster-head")


@pytest.fixture
def dag(head, request):
    """Return a DAG of three steps."""
    made = Dag(head, re.sub(r"[^a-z0-9]+", "-", request.node.name))
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


def task(dag, name="two"):
    """Return a task of the run."""
    return ask(dag.host, "GET", f"{dag.url}/dagRuns/run/taskInstances/{name}")


def begun(dag, watch, seconds=LENGTH):
    """Begin a run, and return the host that runs the long step."""
    dag.write(chain(seconds))
    dag.trigger({"job": {}})
    return wait_for("second step", lambda: watch.seen, 120)[0][0]


def ended(dag, watch, fault, began, tries, seconds=900):
    """Wait for the end of the run, look at it, and say how long it took."""
    assert dag.ended(seconds) == "success"
    print(f"\n| {fault} | {task(dag)['try_number']} | {time.monotonic() - began:.0f} s |")
    assert task(dag)["try_number"] <= tries
    assert watch.is_alive()
    assert watch.never_two_at_a_time(), watch.seen
    assert dag.report()["said"]["class"] == "File"


def start_of(name, unit):
    """Return when a unit of a host was started, by the clock of this machine, which is that of the containers."""
    shown = at(name).check_output(f"systemctl show --property=ActiveEnterTimestampMonotonic --value {unit}")
    return int(shown) / 1e6


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
def test_a_worker_host_that_is_killed(dag, watch):
    """The step runs again on the other worker; what ran on the dead host does not go on when that is back."""
    on = begun(dag, watch, 60)
    began = time.monotonic()
    docker("kill", on)
    try:
        ended(dag, watch, "worker host killed", began, 2)
        assert watch.hosts() == set(NODES)
    finally:
        booted(on)
    before = len(watch.seen)
    time.sleep(5)
    assert len(watch.seen) == before
    assert at(on).check_output("docker ps --quiet") == ""


def test_the_scheduler_that_owns_a_run_is_killed(dag, watch, head):
    """The other one goes on."""
    begun(dag, watch)
    began = time.monotonic()
    head.check_output("systemctl kill --signal=KILL airflow-scheduler; systemctl stop airflow-scheduler")
    try:
        ended(dag, watch, "scheduler killed", began, 1)
    finally:
        head.check_output("systemctl start airflow-scheduler")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        pytest.param("cluster-mq", "rabbitmq-server", id="broker"),
        pytest.param("cluster-db", "mysql", id="database", marks=pytest.mark.full),
    ],
)
def test_a_server_is_started_again(dag, watch, name, unit):
    begun(dag, watch)
    began = time.monotonic()
    at(name).check_output(f"systemctl restart {unit}")
    ended(dag, watch, f"{unit} restarted", began, 1)


@pytest.mark.full
@pytest.mark.usefixtures("both_serve_default")
def test_a_worker_is_off_the_network_for_two_minutes(dag, watch):
    """Its step goes on."""
    on = begun(dag, watch, 150)
    began = time.monotonic()
    with cut_off(on, 120):
        pass
    ended(dag, watch, "worker off the network for 120 s", began, 1)


@pytest.mark.full
@pytest.mark.usefixtures("both_serve_default")
def test_a_worker_is_off_the_network_for_long(dag, watch):
    """It ends its step by itself, before the other one begins it again."""
    on = begun(dag, watch, 300)
    began = time.monotonic()
    with cut_off(on, 0):
        ended(dag, watch, "worker off the network for good", began, 2, 1500)
    assert watch.hosts() == set(NODES)


@pytest.mark.full
def test_the_host_of_the_web_pages_is_gone_for_a_minute(dag, watch):
    """Tasks go on: they tell the API server later."""
    begun(dag, watch, 40)
    began = time.monotonic()
    with cut_off("cluster-head", 60):
        pass
    ended(dag, watch, "web host off the network for 60 s", began, 1)


@pytest.mark.full
def test_the_site_is_set_up_again_during_a_step(dag, watch, head):
    """With a change for each service: what it reports from then on arrives."""
    on = begun(dag, watch, 300)  # longer than site.yml takes to come to the workers
    began = time.monotonic()
    receiver = Receiver(head)
    receiver.start()
    try:
        converge(
            cwl_airflow_report_url="http://127.0.0.1:18080",
            cwl_airflow_report_endpoint="satellite/v1/",
            airflow_config={"core": {"parallelism": 40}},
        )
        ended(dag, watch, "site.yml", began, 1)
        assert (
            began < start_of("cluster-head", "airflow-scheduler") < watch.seen[-1][2] < start_of(on, "airflow-worker")
        )
        assert receiver.wait(dag.dag_id, "results")
    finally:
        receiver.stop()


@pytest.mark.full
def test_a_run_is_stopped_on_the_host_where_it_is(dag, watch, head):
    """`cwl-airflow-stop` reaches every worker, over the broker."""
    begun(dag, watch, 300)
    head.check_output(f"cwl-airflow-stop {dag.dag_id} run")
    assert not ask(head, "GET", f"{dag.url}/dagRuns/run", missing=True)
    assert not any(containers(at(name)) for name in NODES)


@pytest.mark.full
def test_a_worker_is_drained(dag, watch):
    """It ends its step, takes no more, and is back with site.yml."""
    on = begun(dag, watch, 30)
    drain = playbook("--limit", on, name="playbooks/drain.yml", drain_pause=2)
    done = subprocess.run(drain, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    try:
        assert not at(on).service("airflow-worker").is_running
        assert task(dag)["state"] == "success"
    finally:
        converge("--limit", on)
    assert dag.ended(120) == "success"


@pytest.fixture
def third(tmp_path):
    """Return the inventory of a bare third worker, which is gone afterwards."""
    hosts = {THIRD: {"site_address": ADDRESSES[THIRD], "airflow_worker_queues": ["default"]}}
    children = {group: {"hosts": {THIRD: {}}} for group in ("standin", "worker")}
    file = tmp_path / "third.json"
    file.write_text(json.dumps({"all": {"hosts": hosts, "children": children}}))
    create = playbook(f"--inventory={file}", f"--limit={THIRD},localhost", name="playbooks/standin/create.yml")
    try:
        subprocess.run(create, cwd=PROJECT, check=True, capture_output=True)
        yield f"--inventory={file}"
    finally:
        docker("rm", "--force", "--volumes", THIRD)
        docker("volume", "rm", "--force", f"{THIRD}-docker")


@pytest.mark.full
def test_the_site_grows_and_shrinks(dag, head, third):
    """A host that is new among others gets steps, its logs are read, and nobody lets it in when it is gone."""
    accounts = "mysql --batch --skip-column-names --execute='SELECT host FROM mysql.user'"
    converge(third)
    assert ADDRESSES[THIRD] in at("cluster-db").check_output(accounts).split()
    control(head, "cancel_consumer", "cluster-node-1")
    try:
        dag.write(chain(0))
        dag.trigger({"job": {}})
        assert dag.ended(300) == "success"
    finally:
        control(head, "add_consumer", "cluster-node-1")
    assert {task(dag, name)["hostname"] for name in ("one", "two", "three")} == {ADDRESSES[THIRD]}
    assert MARK in json.dumps(ask(head, "GET", f"{dag.url}/dagRuns/run/taskInstances/two/logs/1?full_content=true"))

    drain = playbook(third, f"--limit={THIRD}", name="playbooks/drain.yml")
    subprocess.run(drain, cwd=PROJECT, check=True, capture_output=True)
    units = "systemctl list-unit-files --no-legend 'airflow-*' | cut -d ' ' -f 1"
    at(THIRD).check_output(f"systemctl disable --now $({units})")
    assert not at(THIRD).check_output("systemctl list-units --no-legend --state=active 'airflow-*.service'")
    converge()
    assert ADDRESSES[THIRD] not in at("cluster-db").check_output(accounts).split()
    assert ADDRESSES[THIRD] not in at("cluster-mq").check_output("nft list ruleset")


@pytest.mark.full
def test_the_site_gets_another_release(dag, watch, tmp_path):
    """The step that runs ends first, each host has the release afterwards, and the run goes on."""
    begun(dag, watch, 300)
    began = time.monotonic()
    upgrade = playbook(name="playbooks/upgrade.yml", airflow_requirements=str(other_lock(tmp_path)))
    done = subprocess.run(upgrade, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    ended(dag, watch, "upgrade", began, 1)
    version = "from importlib.metadata import version; print(version('humanize'))"
    assert {at(name).check_output(f'/opt/airflow/bin/python -c "{version}"') for name in AIRFLOW} == {"4.15.0"}
