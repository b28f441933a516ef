"""The host's clock is set by an hour while a step runs: the run ends well, and nothing runs twice at once."""

from __future__ import annotations

import shlex
import time

import pytest
from api import ADMIN, AIRFLOW, TOKENS, ask, curl, log_in
from conftest import SERVICES
from dags import containers, running_tasks, wait_for
from test_faults import CHAIN, STEPS, most_at_once  # noqa: F401  # a fixture

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
        time.sleep(2)  # until all have read it again

    def restart():
        host.check_output(f"systemctl daemon-reload && systemctl restart {' '.join(SERVICES)}")
        wait_for("API server", lambda: host.run(f"curl --silent --fail {AIRFLOW}/monitor/health").succeeded, 240)
        TOKENS.clear()

    try:
        set_by(0)
        for unit in SERVICES:
            folder = f"/run/systemd/system/{unit}.service.d"
            host.check_output(f"mkdir -p {folder} && printf %s '{DROP_IN}' > {folder}/clock.conf")
        restart()
        yield set_by
    finally:
        host.check_output("rm -f /run/systemd/system/airflow-*.service.d/clock.conf")
        restart()
        host.check_output(f"rm {OFFSET} && apt-get purge --yes --quiet libfaketime")


@pytest.mark.full
@pytest.mark.parametrize(("seconds", "taken"), [(-3600, False), (3600, True)])
def test_a_run_survives_a_clock_that_is_set(host, dag, clock, most_at_once, seconds, taken):  # noqa: F811
    dag.write(CHAIN)
    dag.known()
    dag.trigger({"job": {}})
    wait_for("second step", lambda: containers(host, "echo two"), 120)
    before, began = log_in(host, ADMIN), time.monotonic()
    clock(seconds)
    # A token that is from the future is none; one of a day ends no sooner.
    status, _ = curl(host, f"{AIRFLOW}/dags", bearer=before)
    assert (status == 200) == taken, status
    TOKENS.clear()
    state = dag.ended(900)
    took = time.monotonic() - began
    tasks = ask(host, "GET", f"{AIRFLOW}/dags/{dag.dag_id}/dagRuns/run/taskInstances")["task_instances"]
    tries = {task["task_id"]: task["try_number"] for task in tasks}
    most = most_at_once()
    print(f"\nclock set by {seconds} s: {state}, {took:.0f} s after the step began, {tries}, at once {dict(most)}")
    assert state == "success"
    assert host.check_output(f"cat {shlex.quote(dag.report()['said']['path'])}").split() == [*STEPS]
    assert most["two"] == 1
    assert set(most.values()) == {1}, "a step ran twice at the same time"
    assert tries.pop("two") <= 2
    assert set(tries.values()) == {1}
    assert not containers(host)
    assert not running_tasks(host)
