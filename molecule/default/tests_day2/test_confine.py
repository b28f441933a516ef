"""What a run may read and where it may write, on the host: through each way to trigger, as each role.

The kinds of attacks are in tests/unit/test_attacks.py, through the engine. Here are those that once worked on a host.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import uuid
from pathlib import Path

import pytest
import requests
from api import ADMIN, AIRFLOW, API, ask, curl, made_user
from dags import DAGS, Dag, tool, wait_for
from forward import forwarded
from test_api import KEY, sign

INPUTS = "/var/lib/airflow/cwl/inputs"
OUTPUTS = "/var/lib/airflow/cwl/outputs"
NAME = "confined"
CA = Path(os.environ["CREDENTIALS"]) / "ca.pem"
#: Gives back the file that it is given.
BACK = tool(
    "true",
    requirements={"InlineJavascriptRequirement": {}},
    inputs={"text": "File"},
    outputs={"text": {"type": "File", "outputBinding": {"outputEval": "$(inputs.text)"}}},
)
GOOD = {"class": "File", "path": f"{INPUTS}/confined.txt"}
EVIL = {"InlineJavascriptRequirement": {"expressionLib": ["this.constructor.constructor('return process')()"]}}
CONFIGURATION = {"class": "File", "path": "/etc/airflow/airflow.cfg"}
#: Each worked once; and what the refusal must say.
ATTACKS = {
    "configuration": ({"text": CONFIGURATION}, "Input 'text': /etc/airflow/airflow.cfg"),
    "environment": ({"text": {**GOOD, "path": "/etc/default/airflow"}}, "Input 'text': /etc/default/airflow"),
    "include": ({"text": {"$include": "/etc/airflow/airflow.cfg"}}, "Input 'text': /etc/airflow/airflow.cfg"),
    "name": ({"text": {**GOOD, "basename": "../../../../dags/confined.py"}}, "Input 'text': the name"),
    "folder": ({"text": GOOD, "outputs_folder": f"{DAGS}/confined"}, "'outputs_folder': "),
    "folder between the steps": ({"text": GOOD, "tmp_folder": DAGS}, "'tmp_folder': "),
    "job's file": ("/etc/airflow/airflow.cfg", "'job': /etc/airflow/airflow.cfg"),
    "URL": ({"text": {"class": "File", "location": "http://127.0.0.1:8080/health"}}, "cwl_airflow_fetch_hosts"),
}
#: Those that somebody may do.
OTHER = {"text": {"class": "File", "path": f"{OUTPUTS}/confined-other/run/out.txt"}}
LIMITED = {
    "code": ({"text": GOOD, "cwltool:overrides": {"confined.cwl": {"requirements": EVIL}}}, "'cwltool:overrides'"),
    "another DAG's output": (OTHER, "output of DAG 'confined-other'"),
}
ROLES = ("User", "Op", "Admin", "Narrow")
#: Who may do which attack.
CASES = [*((attack, role) for attack in ATTACKS for role in ROLES)]
CASES += [("code", "User"), ("code", "Op"), ("code", "Narrow"), ("another DAG's output", "Narrow")]


@pytest.fixture(scope="module", autouse=True)
def dag(host):
    """Make a DAG whose document gives back a file, an input of a member of the lab, and an output of another DAG."""
    made = Dag(host, NAME)
    host.check_output("useradd --groups cwl-data confined-member")
    host.check_output(f"runuser -u confined-member -- sh -c 'umask 027; echo fruit > {INPUTS}/confined.txt'")
    host.check_output(
        f"runuser -u airflow -- sh -c 'mkdir -p {OUTPUTS}/confined-other/run; echo other > {OTHER['text']['path']}'"
    )
    made.write(BACK)
    made.known()
    try:
        yield made
    finally:
        made.remove()
        host.run(f"userdel confined-member; rm -rf {INPUTS}/confined.txt {OUTPUTS}/confined-other")


@pytest.fixture(scope="module")
def logins(host):
    """Return a login of each role that may trigger the DAG; Narrow may see this DAG only."""
    host.check_output("airflow roles create Narrow")
    permissions = (
        f"airflow roles add-perms Narrow --resource DAG:{NAME} 'DAG Runs' --action can_read can_create can_edit"
    )
    host.check_output(permissions)
    host.check_output("airflow roles add-perms Narrow --resource Website --action can_read")
    try:
        with (
            made_user(host, "u1", "User") as user,
            made_user(host, "o1", "Op") as op,
            made_user(host, "n1", "Narrow") as n,
        ):
            yield {"User": user, "Op": op, "Admin": ADMIN, "Narrow": n}
    finally:
        host.check_output("airflow roles delete Narrow")


def at_rest(host, job, login):
    """Trigger the DAG at Airflow's own REST API, and return the run's name."""
    run = f"confined-{uuid.uuid4()}"
    body = json.dumps(
        {
            "dag_run_id": run,
            "logical_date": None,
            "conf": {"job": job, "cwl_airflow_caller": {"reads": "all", "documents": True}},
        }
    )
    status, answer = curl(host, f"{AIRFLOW}/dags/{NAME}/dagRuns", user=login, body=body)
    assert status == 200, answer
    return run


def all_at_rest(host, jobs, login):
    """Trigger the DAG with each job at Airflow's own REST API, and return the names of the runs."""
    return [at_rest(host, job, login) for job in jobs]


def all_at_the_page(host, jobs, login):
    """Trigger the DAG with each job as Airflow's web page does, and return the names of the runs."""
    user, _, password = login.partition(":")
    runs = []
    with forwarded(host, 443) as port, requests.Session() as session:
        name = host.check_output("hostname")
        session.headers.update({"Host": name, "Referer": f"https://{name}/auth/login/"})
        session.verify, session.trust_env = str(CA), False
        page = session.get(f"https://127.0.0.1:{port}/auth/login/", timeout=60)
        token = re.search('name="csrf_token"[^>]* value="([^"]+)"', page.text)[1]
        form = {"username": user, "password": password, "csrf_token": token}
        session.post(page.url, form, timeout=60, allow_redirects=False)
        for job in jobs:
            runs.append(f"confined-{uuid.uuid4()}")
            conf = {"job": job, "cwl_airflow_caller": {"reads": "all", "documents": True}}
            body = {"dag_run_id": runs[-1], "logical_date": None, "conf": conf}
            answer = session.post(f"https://127.0.0.1:{port}/api/v2/dags/{NAME}/dagRuns", json=body, timeout=60)
            assert answer.ok, answer.text
    return runs


def ended(host, run):
    """Wait until a run has ended, and return its state."""

    def state():
        now = ask(host, "GET", f"{AIRFLOW}/dags/{NAME}/dagRuns/{run}")["state"]
        return now in ("success", "failed") and now

    return wait_for("run", state, 180)


def why(host, run):
    """Return what the first task of a run said."""
    return host.check_output(
        f"cat '/var/lib/airflow/logs/dag_id={NAME}/run_id={run}/task_id=CWLJobDispatcher/attempt=1.log'"
    )


@pytest.fixture(autouse=True)
def nothing_gets_out(host):
    """See to it that no secret of the host is where runs write, and that the folder of DAGs stays as it is."""
    files = f"find {DAGS} -not -path '*/__pycache__*' | sort"
    before = host.check_output(files)
    yield
    assert host.check_output(files) == before
    key = (Path(os.environ["CREDENTIALS"]) / "fernet_key").read_text(encoding="utf-8").strip()
    found = host.run(f"grep --recursive --files-with-matches --fixed-strings {shlex.quote(key)} /var/lib/airflow /tmp")
    assert found.stdout == ""


@pytest.mark.parametrize(("attack", "role"), CASES)
def test_the_cwl_api_refuses_with_the_reason(host, logins, attack, role):
    job, said = (ATTACKS | LIMITED)[attack]
    body = json.dumps({"run_id": f"confined-{uuid.uuid4()}", "conf": json.dumps({"job": job})})
    status, answer = curl(host, f"{API}/dags/{NAME}/dag_runs", user=logins[role], body=body)
    assert (status, said in json.loads(answer)["detail"]) == (403, True), answer


@pytest.mark.parametrize("attack", [*ATTACKS, "code"])
def test_a_token_does_not_help(host, attack):
    job, said = (ATTACKS | LIMITED)[attack]
    body = {"run_id": f"confined-{uuid.uuid4()}", "conf": json.dumps({"job": job})}
    status, answer = curl(host, f"{API}/dags/{NAME}/dag_runs", body=json.dumps({**body, "token": sign(body)}))
    assert (status, said in answer) == (403, True), answer


@pytest.mark.parametrize("trigger", [all_at_rest, all_at_the_page])
def test_the_first_task_refuses_what_comes_past_the_cwl_api(host, logins, trigger):
    attacks = (ATTACKS | LIMITED).values()
    runs = trigger(host, [job for job, _ in attacks], logins["Narrow"])
    for (job, said), run in zip(attacks, runs, strict=True):
        assert ended(host, run) == "failed", job
        assert said in why(host, run), job


OUTER = """
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG

with DAG("confined-outer", schedule=None, is_paused_upon_creation=False, render_template_as_native_obj=True):
    TriggerDagRunOperator(
        task_id="inner",
        trigger_dag_id="confined",
        trigger_run_id="confined-inner",
        conf={"job": "{{ dag_run.conf['given'] }}"},
    )
"""


def test_a_run_that_another_one_starts_may_do_no_more(host, logins):
    """Also where the other run is of no CWL document."""
    outer = Dag(host, "confined-outer")
    host.check_output(f"printf %s {shlex.quote(OUTER)} > {DAGS}/confined-outer.py")
    try:
        outer.known()
        body = json.dumps({"dag_run_id": "run", "logical_date": None, "conf": {"given": LIMITED["code"][0]}})
        assert curl(host, f"{outer.url}/dagRuns", user=logins["User"], body=body)[0] == 200
        assert outer.ended() == "success"
        assert ended(host, "confined-inner") == "failed"
        assert LIMITED["code"][1] in why(host, "confined-inner")
    finally:
        outer.remove()


def test_who_may_do_more_does_it(host, logins):
    override = {
        "text": GOOD,
        "cwltool:overrides": {"confined.cwl": {"requirements": {"ResourceRequirement": {"coresMin": 1}}}},
    }
    runs = [at_rest(host, OTHER, logins[role]) for role in ("User", "Admin")] + [at_rest(host, override, ADMIN)]
    assert [ended(host, run) for run in runs] == ["success"] * 3


def test_the_file_of_a_member_of_the_lab_is_taken(host, logins):
    run = at_rest(host, {"text": {"class": "File", "path": "confined.txt"}}, logins["User"])
    assert ended(host, run) == "success"
    assert host.check_output(f"runuser -u confined-member -- cat {OUTPUTS}/{NAME}/{run}/confined.txt") == "fruit"


def test_the_commands_of_the_host_refuse(host):
    job = shlex.quote(json.dumps({"job": {"text": CONFIGURATION}}))
    key = shlex.quote(KEY.read_text(encoding="utf-8"))
    done = host.run(f"printf %s {key} | cwl-airflow-trigger -d {NAME} -r confined-command -c {job} -k -")
    assert (done.rc, "Input 'text': /etc/airflow/airflow.cfg" in done.stderr) == (1, True)
    file = f"{INPUTS}/confined-job.json"
    host.check_output(f"printf %s {shlex.quote(json.dumps(ATTACKS['include'][0]))} > {file}")
    try:
        done = host.run(f"cwl-airflow-run {DAGS}/{NAME}.cwl {file}")
        assert (done.rc, done.stderr.partition(" may not be read")[0]) == (1, "Input 'text': /etc/airflow/airflow.cfg")
        done = host.run(f"cwl-airflow-run /etc/passwd {file}")
        assert (done.rc, done.stderr.partition(" may not be read")[0]) == (1, "Document: /etc/passwd")
    finally:
        host.check_output(f"rm {file}")
    host.check_output(f"airflow dags trigger {NAME} --run-id confined-airflow --conf {job}")
    assert ended(host, "confined-airflow") == "failed"
    assert ATTACKS["configuration"][1] in why(host, "confined-airflow")


@pytest.mark.parametrize("attack", ["configuration", "include", "name", "folder", "URL"])
def test_a_document_that_comes_with_its_job_gets_no_further(host, attack):
    job, said = ATTACKS[attack]
    fields = [
        f"workflow_params={json.dumps(job)}",
        "workflow_url=a.cwl",
        f"workflow_attachment=@{DAGS}/{NAME}.cwl;filename=a.cwl",
    ]
    fields += ["workflow_type=CWL", "workflow_type_version=v1.2"]
    form = [word for field in fields for word in ("--form", field)]
    status, answer = curl(host, f"{API}/wes/runs", *form, user=ADMIN)
    assert (status, said in json.loads(answer)["detail"]) == (403, True), answer
