"""Where tasks run, and that what they say is read on the web page."""

from __future__ import annotations

import json

import pytest
import testinfra
from api import ADMIN, ask, curl
from dags import Dag, tool

#: Where the worker of each queue is.
WORKERS = {"default": "192.168.65.13", "advanced": "192.168.65.14"}
CA = "/etc/ssl/site/ca.pem"
SITE = "https://192.168.65.12"
SMALL, LARGE = {"ramMin": 100}, {"ramMin": 2000}


@pytest.fixture(scope="module")
def head():
    """Return the host of the web pages."""
    return testinfra.get_host("docker://cluster-head")


@pytest.fixture(scope="module")
def run(head):
    """Return a DAG that has run once, with a step in each queue."""
    dag = Dag(head, "queues")
    steps = {
        name: {"run": tool("hostname >&2", requirements={"ResourceRequirement": need}), "in": {}, "out": []}
        for name, need in (("small", SMALL), ("large", LARGE))
    }
    dag.write({"class": "Workflow", "inputs": {}, "outputs": {}, "steps": steps})
    try:
        dag.trigger({"job": {}})
        assert dag.ended(180) == "success"
        yield dag
    finally:
        dag.remove()


def tasks(dag):
    """Return the tasks of the run by name."""
    found = ask(dag.host, "GET", f"{dag.url}/dagRuns/run/taskInstances")["task_instances"]
    return {task["task_id"]: task for task in found}


def test_tasks_run_on_the_worker_of_their_queue(run):
    found = {name: (task["queue"], task["hostname"]) for name, task in tasks(run).items()}
    assert found["small"] == ("default", WORKERS["default"])
    assert found["large"] == ("advanced", WORKERS["advanced"])
    assert set(found.values()) == set(WORKERS.items())


@pytest.mark.parametrize(("name", "host"), [("small", "cluster-node-1"), ("large", "cluster-node-2")])
def test_logs_of_every_worker_are_read_over_tls(run, name, host):
    task = tasks(run)[name]
    url = f"{run.url}/dagRuns/run/taskInstances/{name}/logs/{task['try_number']}?full_content=true"
    log = json.dumps(ask(run.host, "GET", url)["content"])
    assert f"https://{task['hostname']}:8793/" in log  # where it was read
    assert host in log
    assert "::group::Post Execute" in log  # and that it is all of it


@pytest.mark.parametrize("name", ["cluster-head", "cluster-node-1", "cluster-node-2"])
def test_each_host_says_that_the_site_is_well(name):
    said = testinfra.get_host(f"docker://{name}").check_output("cwl-airflow-status")
    assert "This site is well." in said, said


def test_the_site_has_one_address(head):
    for path, login in (
        ("/api/v2/monitor/health", None),
        ("/cwl-api/api/experimental/wes/service-info", ADMIN),
        ("/flower/workers?json=1", ADMIN),
    ):
        status, answer = curl(head, f"{SITE}{path}", "--cacert", CA, user=login)
        assert status == 200, (path, answer)
    # On another host, whose own certificate has been verified.
    assert curl(head, f"{SITE}/rabbitmq/", "--cacert", CA)[0] == 200
