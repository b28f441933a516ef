"""What happens to a running step when its worker is restarted."""

from __future__ import annotations

from dags import wait_for

TOOL = {
    "class": "Workflow",
    "inputs": {},
    "outputs": {"done": {"type": "File", "outputSource": "wait/done"}},
    "steps": {
        "wait": {
            "in": {},
            "out": ["done"],
            "run": {
                "class": "CommandLineTool",
                "hints": {"DockerRequirement": {"dockerPull": "debian:trixie-slim"}},
                "baseCommand": ["sh", "-c", "sleep 20; echo done"],
                "inputs": {},
                "outputs": {"done": {"type": "stdout"}},
            },
        }
    },
}


def test_every_task_was_scheduled_once(host):
    tries = host.check_output(
        "mysql --skip-column-names --execute='SELECT MAX(try_number), COUNT(*) FROM airflow.task_instance'"
    )
    most, tasks = map(int, tries.split())
    assert tasks > 5
    assert most == 1


def test_new_dag_is_usable_soon_and_a_running_step_survives_a_restart(dag):
    host = dag.host
    dag.write(TOOL)
    dag.trigger({"job": {}})
    wait_for("step", lambda: host.run("docker ps --quiet --filter ancestor=debian:trixie-slim").stdout != "", 60)
    before = host.check_output("systemctl show --property=MainPID --value airflow-worker")
    host.check_output("systemctl restart airflow-worker")
    assert host.check_output("systemctl show --property=MainPID --value airflow-worker") != before
    assert dag.ended() == "success"
    assert set(dag.tasks().values()) == {"success"}
    tries = host.check_output(f"ls '/var/lib/airflow/logs/dag_id={dag.dag_id}/run_id=run/task_id=wait'").split()
    assert [name for name in tries if name.endswith(".log")] == ["attempt=1.log"]
