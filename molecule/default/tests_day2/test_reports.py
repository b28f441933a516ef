"""What a site reports of its runs: to a real receiver, signed, whatever happens to run, receiver and service.

rotate.yml made the key and told the role where the receiver is.
"""

from __future__ import annotations

import shlex

import pytest
from dags import kill_worker, tool, wait_for


@pytest.fixture
def running(receiver):
    """Return the receiver, running."""
    receiver.stop()
    receiver.start()
    # Those of all tests before come first, after up to a minute in which the service does not try.
    wait_for("delivery of what waits", lambda: receiver.waiting() == 0, 300)
    return receiver


def short(reports):
    """Return reports as text."""
    return [
        " ".join(
            [
                report["route"],
                *(str(report["payload"][k]) for k in ("task_id", "state", "progress") if k in report["payload"]),
            ]
        )
        for report in reports
    ]


def test_a_run_is_reported(dag, running):
    dag.write(tool("echo a", outputs={"out": {"type": "stdout"}}))
    dag.trigger({"job": {}})
    reports = running.wait(dag.dag_id, "results")
    assert short(reports) == [
        "status CWLJobDispatcher running",
        "status CWLJobDispatcher success",
        "progress running 33",
        f"status {dag.dag_id} running",
        f"status {dag.dag_id} success",
        "progress running 66",
        "status CWLJobGatherer running",
        "status CWLJobGatherer success",
        "progress running 100",
        "progress success 100",
        "results",
    ]
    assert reports[-2]["payload"] == {
        "state": "success", "dag_id": dag.dag_id, "run_id": "run", "progress": 100, "error": ""
    }  # fmt: skip
    results = reports[-1]["payload"]["results"]
    assert list(results) == ["out"]
    assert dag.host.check_output(f"cat {results['out']['path']}") == "a"


def test_reports_wait_for_a_receiver_that_is_down(dag, receiver):
    """The service is killed meanwhile; a run that was cleared is reported again."""
    needs = "/var/lib/airflow/cwl/inputs/needed"
    receiver.stop()
    dag.write(tool(f"test -e {needs} || {{ echo 'no luck' >&2; exit 3; }}"))
    dag.trigger({"job": {}})
    assert dag.ended() == "failed"  # nobody waited for the receiver
    process = "systemctl show --property=MainPID --value airflow-cwl-reports"
    before = dag.host.check_output(process)
    dag.host.check_output("systemctl kill --signal=SIGKILL airflow-cwl-reports")
    wait_for("service", lambda: dag.host.check_output(process) not in (before, "0"), 60)
    assert receiver.reports(dag.dag_id) == []
    receiver.start()
    reports = receiver.wait(dag.dag_id, "progress", "failed", 90)
    assert short(reports)[-4:] == [
        f"status {dag.dag_id} running",
        f"status {dag.dag_id} failed",
        "status CWLJobGatherer upstream_failed",
        "progress failed 33",
    ]
    error = reports[-1]["payload"]["error"]
    assert error.startswith(f"{dag.dag_id}: 'sh -c ")
    assert error.endswith("exit status 3: no luck")

    dag.host.check_output(f"touch {needs}")
    try:
        dag.clear()
        again = receiver.wait(dag.dag_id, "results")[len(reports) :]
    finally:
        dag.host.run(f"rm -f {needs}")
    assert short(again)[:2] == [f"status {dag.dag_id} running", f"status {dag.dag_id} success"]
    assert short(again)[-2:] == ["progress success 100", "results"]


def kill_worker_at(dag, seconds):
    """Kill the worker while the DAG's tool sleeps for so many seconds; the tool goes with it."""
    step = f"pgrep -f '^sleep {str(seconds)[:-1]}[{str(seconds)[-1]}]'"
    wait_for("step", lambda: dag.host.run(step).rc == 0, 60)
    kill_worker(dag.host)
    assert dag.host.run(step).rc == 1


@pytest.mark.full  # tests_faults has the killed worker, those before it how reports look
def test_a_step_that_is_lost_is_reported_with_each_try(dag, running):
    dag.write(tool("sleep 19"))
    dag.trigger({"job": {}})
    kill_worker_at(dag, 19)
    reports = running.wait(dag.dag_id, "results", seconds=240)
    assert [line for line in short(reports) if line.startswith(f"status {dag.dag_id} ")] == [
        f"status {dag.dag_id} {state}" for state in ("running", "up_for_retry", "running", "success")
    ]


@pytest.mark.full  # tests_faults has the killed worker, the test above its reports
def test_a_run_whose_worker_is_killed_is_reported(dag, running):
    dag.write(tool("sleep 7655"), retries=0)
    dag.trigger({"job": {}})
    kill_worker_at(dag, 7655)
    reports = running.wait(dag.dag_id, "progress", "failed", 180)
    assert short(reports)[-4:-1] == [
        f"status {dag.dag_id} running",
        f"status {dag.dag_id} failed",
        "status CWLJobGatherer upstream_failed",
    ]
    assert reports[-1]["payload"]["error"].startswith(f"{dag.dag_id}: ")


def test_a_second_service_waits_for_its_turn(host):
    unit, first = "test-reports", "airflow-cwl-reports"
    since = host.check_output("date '+%F %T'")

    def says(text):
        journal = f"journalctl --unit={unit} --output=cat --no-pager --since={shlex.quote(since)}"
        return text in host.check_output(journal)

    user = "--property=User=airflow --property=EnvironmentFile=/etc/default/airflow"
    host.check_output(f"systemd-run --quiet --collect --unit={unit} {user} /opt/airflow/bin/cwl-airflow-reports")
    try:
        wait_for("second service", lambda: says("Another service reports: waiting"), 60)
        assert not says("It is my turn to report")
        host.check_output(f"systemctl stop {first}")
        wait_for("turn", lambda: says("It is my turn to report"), 60)
    finally:
        host.run(f"systemctl stop {unit}")
        host.run(f"systemctl start {first}")


def test_a_run_that_is_removed_is_reported(dag, running):
    dag.write(tool("sleep 20"))
    dag.trigger({"job": {}})
    running.wait(dag.dag_id, "status", "running")
    dag.host.check_output(f"mysql --execute=\"DELETE FROM airflow.dag_run WHERE dag_id = '{dag.dag_id}'\"")
    reports = running.wait(dag.dag_id, "progress", "failed", 30)
    assert reports[-1]["payload"]["error"] == "The run was removed before it had ended."


def test_a_key_that_cannot_sign_sends_nothing(dag, running):
    """Said once, and what waited is sent, signed, when key and algorithm fit again."""
    key = "SELECT val, is_encrypted FROM airflow.variable WHERE `key` = 'process_report_algorithm'"
    value, encrypted = dag.host.check_output(f"mysql --skip-column-names --raw --execute={shlex.quote(key)}").split()
    update = "UPDATE airflow.variable SET val = '{}', is_encrypted = {} WHERE `key` = 'process_report_algorithm'"
    since = dag.host.check_output("date '+%F %T'")
    dag.write(tool("true"))

    def complaints():
        unit = "--unit=airflow-cwl-reports --output=cat"
        journal = dag.host.check_output(f"journalctl {unit} --since={shlex.quote(since)}")
        return journal.count("process_report_private_key cannot sign")

    try:
        dag.host.check_output(f"mysql --execute={shlex.quote(update.format('ES256', 0))}")
        wait_for("complaint", lambda: complaints() == 1, 60)
        dag.trigger({"job": {}})
        wait_for("reports", lambda: running.waiting("results", dag.dag_id) == 1, 120)
        assert running.reports(dag.dag_id) == []
    finally:
        dag.host.check_output(f"mysql --execute={shlex.quote(update.format(value, encrypted))}")
    running.wait(dag.dag_id, "results")
    assert complaints() == 1
