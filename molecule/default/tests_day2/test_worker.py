"""What happens to a running step when its worker is restarted."""

from __future__ import annotations

import json
import time

DAGS = "/var/lib/airflow/dags"
TOOL = {
    "cwlVersion": "v1.0",
    "class": "Workflow",
    "inputs": {},
    "outputs": {"done": {"type": "File", "outputSource": "wait/done"}},
    "steps": {
        "wait": {
            "in": {},
            "out": ["done"],
            "run": {
                "class": "CommandLineTool",
                "hints": {"DockerRequirement": {"dockerPull": "debian:bookworm-slim"}},
                "baseCommand": ["sh", "-c", "sleep 20; echo done"],
                "inputs": {},
                "outputs": {"done": {"type": "stdout"}},
            },
        }
    },
}
DAG = f'from cwl_airflow.extensions.cwldag import CWLDAG\n\ndag = CWLDAG(workflow="{DAGS}/slow.cwl", dag_id="slow")\n'


def wait_for(what, found, seconds):
    """Wait until `found()` is true, and return how long that took, in seconds."""
    began = time.monotonic()
    while not found():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds} s"
        time.sleep(1)
    return time.monotonic() - began


def test_every_task_was_scheduled_once(host):
    tries = host.check_output(
        "mysql --skip-column-names --execute='SELECT MAX(try_number), COUNT(*) FROM airflow.task_instance'"
    )
    most, tasks = map(int, tries.split())
    assert tasks > 5
    assert most == 1


def test_new_dag_is_usable_soon_and_a_running_step_survives_a_restart(host):
    host.check_output(f"printf %%s %s > {DAGS}/slow.cwl", json.dumps(TOOL))
    host.check_output(f"printf %%s %s > {DAGS}/slow.py", DAG)
    try:
        wait_for(
            "new DAG", lambda: host.run("airflow dags trigger slow --run-id restart --conf '{\"job\": {}}'").rc == 0, 30
        )
        wait_for("step", lambda: host.run("docker ps --quiet --filter ancestor=debian:bookworm-slim").stdout != "", 60)
        before = host.check_output("systemctl show --property=MainPID --value airflow-worker")
        host.check_output("systemctl restart airflow-worker")
        assert host.check_output("systemctl show --property=MainPID --value airflow-worker") != before

        def state():
            runs = json.loads(host.check_output("airflow dags list-runs --dag-id slow --output json"))
            return runs[0]["state"]

        wait_for("run", lambda: state() in ("success", "failed"), 90)
        assert state() == "success"
        tasks = json.loads(host.check_output("airflow tasks states-for-dag-run slow restart --output json"))
        assert {task["state"] for task in tasks} == {"success"}
        tries = host.check_output("ls '/var/lib/airflow/logs/dag_id=slow/run_id=restart/task_id=wait'").split()
        assert [name for name in tries if name.endswith(".log")] == ["attempt=1.log"]
    finally:
        host.run(f"rm -f {DAGS}/slow.py {DAGS}/slow.cwl; airflow dags delete --yes slow")
