"""A disk fills up: tasks wait, and go on when there is room."""

from __future__ import annotations

import shlex
import time
from contextlib import contextmanager

import pytest
from api import AIRFLOW, ask
from dags import IMAGE, TMP, containers, tool, wait_for

MYSQL = "/var/lib/mysql"
ELSEWHERE = "/var/lib/mysql-of-the-test"


@contextmanager
def small_disk(host, folder):
    """Let the worker see a small file system in place of a folder."""
    worker = host.check_output("systemctl show --property=MainPID --value airflow-worker")
    inside = f"nsenter --target={worker} --mount"
    host.check_output(f"{inside} mount -t tmpfs -o size=64m,mode=0777 small {folder}")
    try:
        yield
    finally:
        host.check_output(f"{inside} umount --lazy {folder}")


@pytest.mark.parametrize(
    "folder",
    [
        TMP,
        pytest.param("/var/lib/airflow/cwl/outputs", marks=pytest.mark.full),
        pytest.param("/var/lib/docker", marks=pytest.mark.full),
    ],
)
def test_a_task_waits_for_room(host, dag, folder):
    dag.write(tool("echo done", requirements=IMAGE))
    dag.known()
    with small_disk(host, folder):
        dag.trigger({"job": {}})
        log = f"{dag.logs('CWLJobDispatcher')}/attempt=1.log"
        said = f"This task begins when there is room: {folder} has 64 MiB free"
        wait_for("log", lambda: said in host.run(f"cat '{log}'").stdout, 60)
        time.sleep(6)  # it looks every 5 s
        assert dag.tasks()["CWLJobDispatcher", ""] == "running"
    assert dag.ended() == "success"
    assert "There is room" in dag.log("CWLJobDispatcher")


@contextmanager
def moved_database(host):
    """Move the database to a file system of the test's own, and afterwards back with all that it got there."""

    def move(source, target, mount):
        host.check_output("systemctl stop mysql")
        host.check_output(mount)
        host.check_output(f"rm -rf {target}/* && cp --archive {source}/. {target}/")

    size = int(host.check_output(f"du --summarize --block-size=1M {MYSQL}").split()[0]) + 200
    host.check_output(f"mkdir --parents {ELSEWHERE}")
    move(MYSQL, ELSEWHERE, f"mount -t tmpfs -o size={size}m small {ELSEWHERE}")
    host.check_output(f"mount --bind {ELSEWHERE} {MYSQL} && systemctl start mysql")
    try:
        yield
    finally:
        host.run(f"rm -f {MYSQL}/filled")
        move(ELSEWHERE, MYSQL, f"umount {MYSQL}")
        host.check_output(f"umount {ELSEWHERE} && rmdir {ELSEWHERE} && systemctl start mysql")


@pytest.mark.full
def test_a_database_without_room_loses_nothing(host, dag):
    dag.write(tool("sleep 20; echo done", requirements=IMAGE, stdout="said", outputs={"said": "stdout"}))
    dag.known()
    with moved_database(host):
        wait_for("database", lambda: host.run("cwl-airflow-check sql").succeeded, 120)
        dag.trigger({"job": {}})
        wait_for("step", lambda: containers(host, "sleep 20"), 60)
        host.run(f"head --bytes=10G /dev/zero > {shlex.quote(MYSQL)}/filled")  # as much as there is room for
        time.sleep(60)
        host.check_output(f"rm -f {MYSQL}/filled")
        state = dag.ended(300)
        tasks = ask(host, "GET", f"{AIRFLOW}/dags/{dag.dag_id}/dagRuns/run/taskInstances")["task_instances"]
    print({task["task_id"]: (task["state"], task["try_number"]) for task in tasks})
    assert state == "success"
    assert {task["try_number"] for task in tasks} == {1}
