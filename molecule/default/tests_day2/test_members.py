"""What a member of `cwl-data` does with the host from a shell: without sudo, from home, as nobody else."""

from __future__ import annotations

import json
import shlex
from contextlib import contextmanager

import pytest
from api import ADMIN, AIRFLOW, USERS, ask, curl
from dags import DAGS, IMAGE, Dag, containers, tool, wait_for

MEMBER, STRANGER = "lab-member", "lab-stranger"
HOME = f"/home/{MEMBER}"
INPUTS = "/var/lib/airflow/cwl/inputs/cwl-runner"
OUT = {"out": {"type": "File", "outputBinding": {"glob": "out.txt"}}}
READS = {"reads": {"type": "File", "secondaryFiles": [".idx"], "inputBinding": {"position": 1}}}
JOIN = {
    "class": "CommandLineTool",
    "requirements": IMAGE,
    "arguments": ["sh", "-c", 'cat "$0" "$0.idx" > out.txt'],
    "inputs": READS,
    "outputs": OUT,
}


@contextmanager
def made_account(host, name, *groups):
    """Make a user of the host, who logs in for each command."""
    host.check_output(shlex.join(["useradd", "--create-home", *groups, name]))
    host.check_output(f"chmod 0700 /home/{name}")

    def shell(command):
        return host.run(f"su - {name} -c {shlex.quote(command)} < /dev/null")

    try:
        yield shell
    finally:
        host.check_output(f"userdel --remove --force {name}")


@pytest.fixture(scope="module")
def member(host):
    """Return the shell of a member with documents and data at home."""
    with made_account(host, MEMBER, "--groups", "cwl-data") as shell:
        files = {
            "join.cwl": json.dumps({"cwlVersion": "v1.2", **JOIN}),
            "fails.cwl": json.dumps({"cwlVersion": "v1.2", **tool("echo the reason >&2; exit 3")}),
            "long.cwl": json.dumps({"cwlVersion": "v1.2", **tool("sleep 1234", requirements=IMAGE)}),
            "a.fq": "reads\n",
            "a.fq.idx": "index\n",
        }
        for name, text in files.items():
            assert shell(f"printf %s {shlex.quote(text)} > {name}").rc == 0
        assert shell("chmod 0600 a.fq.idx").rc == 0
        try:
            yield shell
        finally:
            host.run(f"rm -rf {DAGS}/cwl-runner {INPUTS}/{MEMBER}")
            for dag_id in dags_of(host):
                Dag(host, dag_id).remove()
            ask(host, "DELETE", f"{USERS}/{MEMBER}")


def dags_of(host):
    """Return the DAGs of the member."""
    return [dag["dag_id"] for dag in ask(host, "GET", f"{AIRFLOW}/dags?owners={MEMBER}")["dags"]]


def page(said):
    """Return the DAG and the run of the link that a command gives."""
    link = next(line for line in said.splitlines() if "/dags/" in line)
    dag_id, _, run_id = link.partition("/dags/")[2].partition("/runs/")
    return dag_id, run_id


def test_a_document_runs_from_home(host, member):
    done = member("mkdir -p results && cd results && cwl-runner ../join.cwl --reads ../a.fq")
    assert done.rc == 0, done.stderr
    outputs = json.loads(done.stdout)
    assert outputs["out"]["location"] == f"file://{HOME}/results/out.txt"
    file = host.file(f"{HOME}/results/out.txt")
    assert (file.content_string, file.user) == ("reads\nindex\n", MEMBER)
    dag_id, run_id = page(done.stderr)
    assert dag_id.startswith(f"join.{MEMBER}.")
    run = ask(host, "GET", f"{AIRFLOW}/dags/{dag_id}/dagRuns/{run_id}")
    assert (run["state"], run["triggering_user_name"]) == ("success", MEMBER)
    # Nothing of Airflow's own at home, and nobody else reads what was put into reach.
    assert "airflow" not in member("ls -A").stdout
    assert not host.run(f"runuser -u nobody -- ls {INPUTS}").succeeded
    again = member("cwl-runner --outdir results join.cwl --reads a.fq")
    assert again.rc == 0, again.stderr
    assert page(again.stderr)[0] == dag_id


def test_a_job_file_names_files_beside_it(member):
    job = json.dumps({"reads": {"class": "File", "path": "a.fq"}})
    assert member(f"printf %s {shlex.quote(job)} > job.json").rc == 0
    done = member("cd / && cwl-airflow-run ~/join.cwl ~/job.json")
    assert done.rc == 0, done.stderr
    assert "/var/lib/airflow/cwl/outputs/" in json.loads(done.stdout)["out"]["location"]


def test_a_run_that_failed_stays_and_can_be_looked_at(host, member):
    done = member("cwl-runner fails.cwl")
    assert done.rc == 1
    assert "the reason" in done.stderr
    dag_id, run_id = page(done.stderr)
    assert ask(host, "GET", f"{AIRFLOW}/dags/{dag_id}/dagRuns/{run_id}")["state"] == "failed"
    logs = member(f"cwl-airflow-logs {dag_id} {run_id}")
    assert logs.rc == 0, logs.stderr
    assert "the reason" in logs.stdout
    stopped = member(f"cwl-airflow-stop {dag_id} {run_id}")
    assert (stopped.rc, stopped.stdout) == (0, "Stopped and removed.\n")
    assert "There is no run" in member(f"cwl-airflow-stop {dag_id} {run_id}").stdout


def test_who_presses_ctrl_c_ends_the_run(host, member):
    # A shell has what it starts in the background hear no Ctrl-C.
    assert member("env --default-signal=INT cwl-runner long.cwl > /dev/null 2> long.err &").rc == 0
    wait_for("container", lambda: containers(host, "sleep 1234"), 120)
    assert member("kill -INT $(pgrep -u $USER -f [b]in/cwl-runner)").rc == 0
    wait_for("end of the container", lambda: not containers(host, "sleep 1234"), 60)
    dag_id, run_id = page(host.file(f"{HOME}/long.err").content_string)
    assert ask(host, "GET", f"{AIRFLOW}/dags/{dag_id}/dagRuns/{run_id}")["state"] == "failed"


def test_what_is_wrong_is_said_before_there_is_a_run(host, member):
    before = dags_of(host)
    for command, why in (
        ("cwl-runner join.cwl", "Input 'reads' is missing"),
        ("cwl-runner join.cwl --raeds a.fq", "Did you mean 'reads'?"),
        ("cwl-runner join.cwl --reads nowhere.fq", "nowhere.fq is not there"),
        ("cwl-runner join.cwl --reads /etc/shadow", "may not be read, whatever a setting says"),
        ("cwl-runner --outdir /root join.cwl --reads a.fq", "may not be written by the user lab-member"),
    ):
        done = member(command)
        assert (done.rc, why in done.stderr) == (1, True), done.stderr
        assert "Traceback" not in done.stderr
    assert dags_of(host) == before


def test_the_other_commands_are_for_members_too(host, member):
    status = member("cwl-airflow-status --json")
    assert status.rc in (0, 1), status.stderr
    assert {"well", "parts", "queues"} <= json.loads(status.stdout).keys()
    images = member("cwl-airflow-images join.cwl")
    assert list(json.loads(images.stdout)["images"]) == ["docker.io/library/debian:trixie-slim"]
    assert member("cwl-runner --version").stdout.startswith("cwl-runner ")
    assert host.file("/usr/local/share/man/man1/cwl-runner.1").contains("CWL runners")
    completion = "/usr/local/share/bash-completion/completions/cwl-runner"
    words = "COMP_WORDS=(cwl-runner --out); COMP_CWORD=1; _shtab_cwl_runner; echo ${COMPREPLY[@]}"
    assert member(f"bash -c '. {completion}; {words}'").stdout == "--outdir\n"


def test_a_document_is_added_with_one_command(host, member):
    checked = member("cwl-airflow-add --check join.cwl")
    assert checked.rc == 0, checked.stderr
    assert "inputs: reads (File)" in checked.stdout
    try:
        added = member("cwl-airflow-add join.cwl --dag lab-join")
        assert added.rc == 0, added.stderr
        assert "queues: join → default" in added.stdout
        assert added.stdout.splitlines()[-1].endswith("/dags/lab-join")
        assert "There is a DAG 'lab-join'" in member("cwl-airflow-add join.cwl --dag lab-join").stderr
        assert member("cwl-airflow-add join.cwl --dag lab-join --replace").rc == 0
        big = json.dumps({"cwlVersion": "v1.2", **tool("true", requirements={"ResourceRequirement": {"ramMin": 1e9}})})
        assert member(f"printf %s {shlex.quote(big)} > big.cwl").rc == 0
        refused = member("cwl-airflow-add big.cwl")
        assert refused.rc == 1
        assert "no queue" in refused.stderr.lower()
        assert not host.file(f"{DAGS}/big/dag.py").exists
    finally:
        host.run(f"rm -rf {DAGS}/lab-join {DAGS}/big")
        curl(host, f"{AIRFLOW}/dags/lab-join", "--request", "DELETE", user=ADMIN)


def test_who_is_not_in_the_group_is_told_so(host):
    with made_account(host, STRANGER) as stranger:
        done = stranger("cwl-runner nothing.cwl")
        assert done.rc == 1
        assert done.stderr == f"{STRANGER} is not in the group cwl-data: ask who keeps this host.\n"


def test_nobody_gets_to_be_the_administrator(host):
    with made_account(host, "admin", "--groups", "cwl-data") as shell:
        done = shell("cwl-airflow-status")
        assert done.rc == 2
        assert "'admin' is an administrator in Airflow, which no shell is: use sudo." in done.stderr
