"""FIFOs, devices, and files with setuid on a host: nothing waits at them, and a task's log says what came of them."""

from __future__ import annotations

import pytest
from dags import IMAGE, tool

FOLDER = "/var/lib/airflow/cwl/inputs/special"
OUT = {"out": {"type": "Directory", "outputBinding": {"glob": "out"}}}
FIRST = "CWLJobDispatcher"


@pytest.fixture(scope="module", autouse=True)
def special(host):
    """Make inputs that are no files: a member of the lab makes a FIFO, and root a device."""
    host.check_output("useradd --groups cwl-data special-member")
    host.check_output(f"runuser -u special-member -- sh -c 'mkdir -p {FOLDER}/deep && mkfifo {FOLDER}/deep/pipe'")
    host.check_output(f"mkdir {FOLDER}/devices && mknod -m 0666 {FOLDER}/devices/zero c 1 5")
    try:
        yield
    finally:
        host.check_output(f"userdel special-member; rm -r {FOLDER}")


@pytest.mark.parametrize(
    ("kind", "path", "what"),
    [
        ("File", "deep/pipe", "deep/pipe"),
        ("Directory", ".", "pipe"),
        ("File", "devices/zero", "devices/zero"),
        ("Directory", "devices", "devices/zero"),
    ],
)
def test_an_input_that_is_no_file_is_refused(dag, kind, path, what):
    dag.write(tool("true", inputs={"x": kind}, hints=IMAGE))
    dag.trigger({"job": {"x": {"class": kind, "path": f"{FOLDER}/{path}"}}})
    assert dag.ended() == "failed"
    assert f"{what} is neither a file nor a folder." in dag.log(FIRST)


@pytest.mark.parametrize("hints", [{}, IMAGE])
def test_a_folder_with_a_fifo_is_no_output(dag, hints):
    dag.write(tool("mkdir -p out/a; mkfifo out/a/b", outputs=OUT, hints=hints))
    dag.trigger({"job": {}})
    assert dag.ended() == "failed"
    assert "out/a/b is neither a file nor a folder." in dag.log(dag.dag_id)


def test_outputs_lose_setuid_and_the_log_says_so(dag, host):
    dag.write(tool("mkdir out; touch out/x out/y; chmod 6755 out/x; chmod 2755 out", outputs=OUT, hints=IMAGE))
    dag.trigger({"job": {}})
    assert dag.ended() == "success"
    folder = dag.report()["out"]["path"]
    assert host.check_output(f"find {folder} -type f -perm /6000") == ""
    said = [line for line in dag.log(dag.dag_id).splitlines() if "setuid and setgid are taken from" in line]
    assert [line.rpartition("/")[2] for line in said] == ["x"]
