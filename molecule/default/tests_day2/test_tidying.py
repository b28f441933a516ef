"""What a host collects goes by the rules of the site, what is needed stays, and a failure is seen."""

from __future__ import annotations

import pytest
from dags import DAGS, TMP, Dag, tool, wait_for

LOGS = "/var/lib/airflow/logs"
PICKLE = "/var/lib/airflow/cwl/pickle"
OLD = "tidying-old"
AGE = "-exec touch --no-dereference --date='1 year ago' '{}' +"


def sql(host, statement):
    """Return what the database answers."""
    return host.check_output(f'mysql --skip-column-names --execute="{statement}"')


def make_rows_older(host, dag_id, **tables):
    """Make rows of a DAG look a year older, by the columns of each table."""
    for table, columns in tables.items():
        changes = ", ".join(f"{column} = {column} - INTERVAL 1 YEAR" for column in columns)
        sql(host, f"UPDATE airflow.{table} SET {changes} WHERE dag_id = '{dag_id}'")


def count(host, table, dag_id):
    return int(sql(host, f"SELECT COUNT(*) FROM airflow.{table} WHERE dag_id = '{dag_id}'"))


@pytest.fixture
def old(host):
    """Return a DAG with a run that failed a year ago: rows, logs, data between its steps."""
    made = Dag(host, OLD)
    made.write(tool("exit 1"))
    made.trigger({"job": {}})
    assert made.ended() == "failed"
    make_rows_older(
        host,
        OLD,
        dag_run=("run_after", "queued_at", "start_date", "end_date", "updated_at"),
        task_instance=("start_date", "end_date"),
        log=("dttm",),
    )
    try:
        yield made
    finally:
        made.remove()


def test_what_is_old_goes_and_what_is_needed_stays(old, dag):
    host = old.host
    dag.write(tool("exec sleep 7671"))
    dag.trigger({"job": {}})
    wait_for("step", lambda: host.run("pgrep -f '^sleep 767[1]'").stdout.split(), 60)
    # All of it looks old, that of the run at work as well.
    host.check_output(f"ln -sfn /etc/ssh {TMP}/{OLD}/link && ln -sfn /etc/ssh {LOGS}/dag_id={OLD}/link")
    host.check_output(f"touch {PICKLE}/broken.kept && chown airflow: {PICKLE}/broken.kept")
    for each in (OLD, dag.dag_id):
        host.check_output(f"find {TMP}/{each} {LOGS}/dag_id={each} {PICKLE}/broken.kept {AGE}")
    needed = host.check_output(f"find {TMP}/{dag.dag_id} {LOGS}/dag_id={dag.dag_id} | sort")
    assert f"{LOGS}/dag_id={dag.dag_id}/run_id=run/task_id=" in needed

    said = host.check_output("cwl-airflow-tidy --dry-run")
    kinds = ("data of failed runs", "log files", "kept documents", "runs with their rows", "other rows")
    found = {line.partition(":")[0]: int(line.split(": ")[1].split()[0]) for line in said.splitlines() if ": " in line}
    assert all(found.get(kind) for kind in kinds), said
    assert "outputs" not in found
    assert host.file(f"{TMP}/{OLD}/run/failed").exists
    assert host.file(f"{LOGS}/dag_id={OLD}/run_id=run").exists
    assert count(host, "dag_run", OLD) == 1

    host.check_output("systemctl start airflow-cwl-tidy")
    assert not host.file(f"{TMP}/{OLD}/run").exists
    assert not host.file(f"{LOGS}/dag_id={OLD}/run_id=run").exists
    assert not host.file(f"{PICKLE}/broken.kept").exists
    assert [count(host, table, OLD) for table in ("dag_run", "task_instance", "log")] == [0, 0, 0]
    assert host.file("/etc/ssh/sshd_config").exists
    assert host.file(f"{DAGS}/{OLD}.py").exists
    assert host.check_output(f"find {TMP}/{dag.dag_id} {LOGS}/dag_id={dag.dag_id} | sort") == needed
    assert count(host, "dag_run", dag.dag_id) == 1
    assert dag.state() == "running"
    assert host.run("pgrep -f '^sleep 767[1]'").stdout.split()
    assert host.check_output("cwl-airflow-check tidy").startswith("tidy: tidied up at ")


def test_a_failure_is_seen(host):
    foreign = f"{LOGS}/dag_id=foreign"
    host.check_output(f"mkdir {foreign} && touch --date='1 year ago' {foreign}/attempt=1.log")
    try:
        assert host.run("systemctl start airflow-cwl-tidy").rc == 1
        assert host.check_output("systemctl show --property=Result --value airflow-cwl-tidy") == "exit-code"
        checked = host.run("cwl-airflow-check sql tidy")
        assert checked.rc == 1
        assert f"failed: log files: {foreign}/attempt=1.log: Permission denied" in checked.stderr
    finally:
        host.check_output(f"rm -r {foreign} && systemctl start airflow-cwl-tidy")
    host.check_output("cwl-airflow-check tidy")
