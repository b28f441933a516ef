"""Stopping a run: its processes, containers, data and rows are gone, wherever they were, and its DAG is not."""

from __future__ import annotations

import pytest
from dags import DAGS, IMAGE, TMP, kill_worker, queued_messages, running_tasks, tool, wait_for

DEAF = "trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM; while :; do sleep {0}; done' & while :; do sleep {0}; done"
TABLES = ("dag_run", "task_instance", "xcom", "rendered_task_instance_fields")


def stop(dag, run_id="run", before=""):
    """Stop a run, and return what the command says."""
    return dag.host.run(f"{before} cwl-airflow-stop {dag.dag_id} {run_id}")


def rows(dag, run_id="run"):
    """Return the number of rows of a run."""
    counts = " + ".join(
        f"(SELECT COUNT(*) FROM airflow.{table} WHERE dag_id = '{dag.dag_id}' AND run_id = '{run_id}')"
        for table in TABLES
    )
    return int(dag.host.check_output(f'mysql --skip-column-names --execute="SELECT {counts}"'))


def running(dag, seconds):
    """Return the number of sleeping processes of a step."""
    pattern = f"^sleep {str(seconds)[:-1]}[{str(seconds)[-1]}]"
    return len(dag.host.run(f"pgrep -f '{pattern}'").stdout.split())


def check_gone(dag, seconds):
    assert running(dag, seconds) == 0
    assert dag.host.check_output("docker ps --all --quiet") == ""
    assert not running_tasks(dag.host)
    assert not dag.host.file(f"{TMP}/{dag.dag_id}/run").exists
    assert rows(dag) == 0
    assert dag.host.file(f"{DAGS}/{dag.dag_id}.py").exists
    dag.known()


@pytest.mark.parametrize("hints", [IMAGE, {}], ids=["container", "process"])
def test_a_step_that_ignores_signals_is_gone_with_its_run(dag, hints):
    dag.write(tool(DEAF.format(7661), hints=hints))
    dag.trigger({"job": {}})
    wait_for("step", lambda: running(dag, 7661) == 2, 60)
    assert bool(dag.host.check_output("docker ps --quiet")) == bool(hints)
    assert rows(dag) > 3
    done = stop(dag)
    assert (done.rc, done.stdout.strip()) == (0, "Stopped and removed."), done.stderr
    check_gone(dag, 7661)


def test_a_run_that_is_not_there_is_stopped(dag):
    done = stop(dag, "nowhere")
    assert (done.rc, done.stdout.strip()) == (0, f"There is no run 'nowhere' of DAG '{dag.dag_id}'.")


def test_runs_are_stopped_while_every_slot_is_taken(dag):
    slots = int(dag.host.check_output("airflow config get-value celery worker_concurrency"))
    step = {"run": tool("exec sleep 7662"), "in": {}, "out": []}
    steps = {f"s{number}": step for number in range(slots)}
    dag.write({"class": "Workflow", "inputs": {}, "outputs": {}, "steps": steps})
    dag.trigger({"job": {}})
    wait_for("steps", lambda: [*dag.tasks().values()].count("running") == slots, 120)
    # As many as the host has cores; the others wait for these, in the slots.
    fitting = min(slots, int(dag.host.check_output("nproc")))
    wait_for("those that fit", lambda: running(dag, 7662) == fitting, 60)
    dag.trigger({"job": {}}, "second")
    query = f"SELECT state FROM airflow.task_instance WHERE dag_id = '{dag.dag_id}' AND run_id = 'second'"
    wait_for("message", lambda: "queued" in dag.host.check_output(f'mysql --execute="{query}"'), 30)
    for run_id in ("second", "run"):
        assert running(dag, 7662) == fitting
        done = stop(dag, run_id)
        assert done.rc == 0, done.stderr
        assert rows(dag, run_id) == 0
    check_gone(dag, 7662)
    # The worker takes the message of the second run now.
    wait_for("worker", lambda: queued_messages(dag.host, "default") == 0, 60)
    assert rows(dag, "second") == 0
    assert not dag.host.file(f"{TMP}/{dag.dag_id}/second").exists


def test_a_killed_workers_container_is_gone_and_another_hosts_is_owed(dag):
    dag.write(tool(DEAF.format(7663), hints=IMAGE))
    dag.trigger({"job": {}})
    wait_for("step", lambda: running(dag, 7663) == 2, 60)
    kill_worker(dag.host)
    assert dag.host.check_output("docker ps --all --quiet") == ""
    note = f"{TMP}/{dag.dag_id}/run/containers/elsewhere"
    dag.host.check_output(f"mkdir -p {note}/step && echo 0123456789abcdef > {note}/step/1.cid")
    done = stop(dag, before="AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME=10")
    assert done.rc == 1
    assert "container 0123456789ab on elsewhere, whose worker does not answer" in done.stderr
    assert dag.state() == "failed"
    dag.host.check_output(f"rm -r {note}")
    done = stop(dag)
    assert done.rc == 0, done.stderr
    check_gone(dag, 7663)


def test_the_step_that_a_restarting_worker_waits_for_is_stopped(dag):
    """Such a worker answers no questions."""
    dag.write(tool(DEAF.format(7664), hints=IMAGE))
    dag.trigger({"job": {}})
    wait_for("step", lambda: running(dag, 7664) == 2, 60)
    dag.host.check_output("systemctl restart --no-block airflow-worker")
    state = "systemctl show --property=ActiveState --value airflow-worker"
    wait_for("restart", lambda: dag.host.check_output(state) == "deactivating", 30)
    done = stop(dag)
    assert done.rc == 0, done.stderr
    check_gone(dag, 7664)
    wait_for("worker", lambda: dag.host.service("airflow-worker").is_running, 30)
