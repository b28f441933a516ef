"""Which queue the tasks of a document go to, and that the worker serves it: runs of small documents on the host."""

from __future__ import annotations

import itertools
import re
import shlex

import yaml
from api import AIRFLOW, ask
from dags import DAGS, IMAGE, queued_messages, tool, wait_for

MORE = {"ResourceRequirement": {"ramMin": 2000}}  # than `default` has; every host has as much
TOO_MUCH = {"ResourceRequirement": {"ramMin": 10**9}}


def python(host, script):
    """Return the last line that a script prints which runs with the services' environment."""
    return host.check_output(f"airflow-exec python -c {shlex.quote(script)}").splitlines()[-1]


def control(host, what, queue):
    """Tell the worker to begin or to stop taking tasks from a queue."""
    answer = python(
        host,
        "from airflow.providers.celery.executors.celery_executor import app; "
        f"print(app.control.{what}({queue!r}, reply=True, timeout=10))",
    )
    assert "ok" in answer, answer


def queues_of(dag):
    """Return the queues of the tasks of a run."""
    instances = ask(dag.host, "GET", f"{dag.url}/dagRuns/run/taskInstances")["task_instances"]
    return {instance["task_id"]: instance["queue"] for instance in instances}


def workflow(steps, **more):
    features = ("ScatterFeatureRequirement", "SubworkflowFeatureRequirement", "InlineJavascriptRequirement")
    return {
        "class": "Workflow",
        "requirements": {name: {} for name in features},
        "inputs": {},
        "outputs": {},
        "steps": {name: {"in": {}, "out": [], **step} for name, step in steps.items()},
        **more,
    }


def test_the_queues_are_those_of_the_host(host):
    queues = yaml.safe_load(host.check_output("cat /etc/airflow/queues.yaml"))
    memory = int(host.check_output("awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo"))
    assert queues["default"] == {"cpus": 1, "ram": 1024}
    assert queues["advanced"]["cpus"] == int(host.check_output("grep -c ^processor /proc/cpuinfo"))
    assert memory / 2 < queues["advanced"]["ram"] < memory
    assert "--queues default,advanced " in host.check_output("systemctl cat airflow-worker")


def test_each_step_goes_to_the_smallest_queue_that_holds_it(dag):
    each = tool("true", inputs={"number": "int"}, hints=MORE)
    nested = workflow({"light": {"run": tool("true")}, "more": {"run": tool("true", hints=MORE)}})
    dag.write(
        workflow(
            {
                "light": {"run": tool("true")},
                "tool": {"run": tool("true", requirements=MORE)},
                "step": {"run": tool("true"), "requirements": MORE},
                "nested": {"run": nested},
                "unknown": {"run": tool("true", hints={"ResourceRequirement": {"ramMin": "$(100)"}})},
                "hint": {"run": tool("true", hints=TOO_MUCH)},
                "each": {"run": each, "scatter": "number", "in": {"number": "numbers"}},
            },
            inputs={"numbers": "int[]"},
        ),
        scatter_jobs_in_task=1,
    )
    dag.trigger({"job": {"numbers": [1, 2]}})
    assert dag.ended(180) == "success"
    assert queues_of(dag) == {
        "CWLJobDispatcher": "default",
        "CWLJobGatherer": "default",
        "light": "default",
        "each.scatter": "default",
        **dict.fromkeys(["tool", "step", "nested", "unknown", "hint", "each", "each.jobs"], "advanced"),
    }


def test_a_task_waits_for_a_worker_that_serves_its_queue(dag):
    dag.write(workflow({"light": {"run": tool("true")}, "more": {"run": tool("true", hints=MORE)}}))
    control(dag.host, "cancel_consumer", "advanced")
    try:
        dag.trigger({"job": {}})
        wait_for("light step", lambda: dag.tasks().get(("light", "")) == "success", 90)
        wait_for("message", lambda: queued_messages(dag.host, "advanced") == 1, 30)
        assert dag.tasks()[("more", "")] == "queued"
    finally:
        control(dag.host, "add_consumer", "advanced")
    assert dag.ended() == "success"


def test_a_requirement_that_no_queue_holds_is_an_import_error(dag):
    dag.write(workflow({"align": {"run": tool("true", requirements=TOO_MUCH)}}))

    def errors():
        found = ask(dag.host, "GET", f"{AIRFLOW}/importErrors?limit=100")["import_errors"]
        return [error["stack_trace"] for error in found if error["filename"].endswith(f"{dag.dag_id}.py")]

    (error,) = wait_for("import error", errors, 90)
    assert "Step 'align' requires 1 core and 1000000000 MiB, and no queue has as much: the largest is" in error
    assert "'advanced' with" in error
    assert "cwl_airflow_queues" in error


def test_what_the_dag_file_says_wins(dag):
    steps = {name: {"run": tool("true", requirements=TOO_MUCH)} for name in ("one", "two")}
    dag.write(workflow(steps))
    file = f"{DAGS}/{dag.dag_id}.py"
    dag.host.check_output(
        f"sed -i \"s/default_args={{/queues={{'two': 'default'}}, default_args={{'queue': 'advanced', /\" {file}"
    )
    dag.trigger({"job": {}})
    assert dag.ended() == "success"
    assert queues_of(dag) == {
        "CWLJobDispatcher": "advanced",
        "CWLJobGatherer": "advanced",
        "one": "advanced",
        "two": "default",
    }


def test_a_container_takes_no_more_than_its_queue_grants(dag):
    shows = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"
    taken = "head --bytes=1500M /dev/zero | tail --bytes=1500M > /dev/null"
    steps = {
        "shows": {"run": tool(f"{shows}; true", requirements=IMAGE)},
        "takes": {"run": tool(taken, requirements=IMAGE), "in": {}, "out": []},
    }
    dag.write(workflow(steps))
    dag.trigger({"job": {}})
    assert dag.ended() == "failed"
    assert dag.tasks()["shows", ""] == "success"
    assert str(1024 * 2**20) in dag.log("shows")
    assert "perhaps it took more than 1024 MiB" in dag.log("takes")


def test_steps_never_take_more_together_than_the_host_has(dag):
    times = "date +%s.%N >&2; sleep 2; date +%s.%N >&2"
    names = ["one", "two", "three"]
    dag.write(workflow({name: {"run": tool(times, requirements=MORE)} for name in names}))
    dag.trigger({"job": {}})
    assert dag.ended() == "success"
    logs = {name: dag.log(name) for name in names}
    spans = sorted([float(time) for time in re.findall(r"\b\d{10}\.\d{9}\b", log)][-2:] for log in logs.values())
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans)), spans
    assert sum("This step begins when " in log for log in logs.values()) >= 1
