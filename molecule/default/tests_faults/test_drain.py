"""A worker is taken out of service: its steps end, no others begin, and it comes back with `site.yml`."""

from __future__ import annotations

import subprocess

from converging import PROJECT, converge, playbook
from dags import queued_messages, running_tasks, tool, wait_for


def test_a_worker_that_is_drained_ends_its_steps_and_takes_no_others(host, dag):
    dag.write(tool("sleep 25"))
    dag.trigger({})
    wait_for("step", lambda: host.run("pgrep -f 'sleep 25'").succeeded, 90)
    try:
        command = playbook(name="playbooks/drain.yml", drain_pause=5)
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        assert "Say what it waits for" in done.stdout
        assert dag.tasks()[dag.dag_id, ""] == "success"
        assert not running_tasks(host)
        worker = host.service("airflow-worker")
        assert (worker.is_running, worker.is_enabled) == (False, False)
        # What comes now waits.
        wait_for("last task", lambda: queued_messages(host, "default"), 60)
        assert dag.state() == "running"
    finally:
        converge("--tags=airflow")
    assert (worker.is_running, worker.is_enabled) == (True, True)
    assert dag.ended() == "success"
