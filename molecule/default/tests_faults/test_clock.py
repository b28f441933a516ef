"""The host's clock is set back by an hour while a step runs: it ends well, and nothing is run twice."""

from __future__ import annotations

import pytest
from api import AIRFLOW, ask
from conftest import SERVICES
from dags import containers, running_tasks, wait_for
from test_faults import CHAIN

OFFSET = "/etc/test-clock"
#: The services ask this library for the time; how long something takes, it leaves to the kernel. A container cannot set
#: the clock of its machine.
DROP_IN = f"""[Service]
Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1 FAKETIME_TIMESTAMP_FILE={OFFSET}
Environment=FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_CACHE_DURATION=1 FAKETIME_DISABLE_SHM=1
"""


@pytest.fixture
def clock(host):
    """Return a function that sets the clock of Airflow's services by so many seconds."""
    host.check_output("apt-get install --yes --quiet --no-install-recommends libfaketime")

    def set_by(seconds):
        host.check_output(f"echo {seconds:+d}s > {OFFSET}")

    def restart():
        host.check_output(f"systemctl daemon-reload && systemctl restart {' '.join(SERVICES)}")
        wait_for("API server", lambda: host.run(f"curl --silent --fail {AIRFLOW}/monitor/health").succeeded, 240)

    set_by(0)
    for unit in SERVICES:
        folder = f"/run/systemd/system/{unit}.service.d"
        host.check_output(f"mkdir -p {folder} && printf %s '{DROP_IN}' > {folder}/clock.conf")
    restart()
    try:
        yield set_by
    finally:
        host.check_output("rm -f /run/systemd/system/airflow-*.service.d/clock.conf")
        restart()
        host.check_output(f"rm {OFFSET} && apt-get purge --yes --quiet libfaketime")


@pytest.mark.full
@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_clock_that_is_set(host, clock, dag, seconds):
    dag.write(CHAIN)
    dag.known()
    dag.trigger({"job": {}})
    wait_for("second step", lambda: containers(host, "echo two"), 120)
    clock(seconds)
    state = dag.ended(900)
    tasks = ask(host, "GET", f"{AIRFLOW}/dags/{dag.dag_id}/dagRuns/run/taskInstances")["task_instances"]
    tries = {task["task_id"]: task["try_number"] for task in tasks}
    print(f"\nclock set by {seconds} s: {state}, {tries}")
    assert state == "success"
    assert set(tries.values()) == {1}
    assert not containers(host)
    assert not running_tasks(host)
