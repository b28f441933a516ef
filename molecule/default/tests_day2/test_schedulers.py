"""Two schedulers share the work of a site, and no task is run twice."""

from __future__ import annotations

import shlex

import pytest
from api import ask
from dags import DAGS, TMP, wait_for

RUNS, TASKS = 10, 10
SECOND = "airflow-scheduler-second"
UNITS = "/run/systemd/system"
DAG = """
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, chain

with DAG({dag_id!r}, schedule=None, max_active_runs={runs}):
    note = "echo {{{{ run_id }}}} {{{{ task.task_id }}}} >> {notes}"
    chain(*[BashOperator(task_id=f"task{{n}}", bash_command=note) for n in range({tasks})])
"""


def count(host, query):
    return int(host.check_output(f"mysql --skip-column-names --execute={shlex.quote(f'SELECT COUNT({query}')}"))


def schedulers(host):
    """Return how many schedulers are alive."""
    alive = "latest_heartbeat > UTC_TIMESTAMP() - INTERVAL 30 SECOND"
    return count(host, f"*) FROM airflow.job WHERE job_type = 'SchedulerJob' AND state = 'running' AND {alive}")


@pytest.fixture
def second(host):
    """Start a second scheduler, as another host would have it."""
    host.check_output(
        f"sed 's#^RuntimeDirectory=.*#&-second#; /^Alias=/d' /etc/systemd/system/airflow-scheduler.service "
        f"> {UNITS}/{SECOND}.service && systemctl daemon-reload && systemctl start {SECOND}"
    )
    try:
        wait_for("second scheduler", lambda: schedulers(host) == 2, 120)
        yield
    finally:
        host.check_output(f"systemctl stop {SECOND} && rm {UNITS}/{SECOND}.service && systemctl daemon-reload")


@pytest.mark.full  # the scenario `cluster` has two on two hosts
def test_two_schedulers_run_each_task_once(host, dag, second):
    notes = f"{TMP}/{dag.dag_id}.txt"
    text = DAG.format(dag_id=dag.dag_id, runs=RUNS, tasks=TASKS, notes=notes)
    host.check_output(f"printf %s {shlex.quote(text)} > {DAGS}/{dag.dag_id}.py")
    try:
        for number in range(RUNS):
            dag.trigger({}, f"run{number}")
        wait_for("runs", lambda: ask(host, "GET", f"{dag.url}/dagRuns?state=success")["total_entries"] == RUNS, 600)
        lines = host.check_output(f"sort {notes}").splitlines()
    finally:
        host.run(f"rm -f {notes}")
    assert lines == sorted(f"run{run} task{task}" for run in range(RUNS) for task in range(TASKS))
    of_dag = f"FROM airflow.task_instance WHERE dag_id = '{dag.dag_id}'"
    assert count(host, f"*) {of_dag} AND try_number = 1 AND state = 'success'") == RUNS * TASKS
    assert count(host, f"DISTINCT queued_by_job_id) {of_dag}") == 2, "only one of the two has handed out tasks"
