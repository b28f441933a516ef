"""Who may do what at the CWL API and, with a token, at Airflow's own: real requests, real keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shlex
import time
import uuid
from pathlib import Path
from urllib.parse import quote

import jwt
import pytest
from api import ADMIN, API, curl, made_user
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from dags import Dag, tool, wait_for

DAG = "two-step"
AIRFLOW = "http://127.0.0.1:8080"
FRUIT = f"/var/lib/airflow/dags/{DAG}/inputs/fruit.txt"
CONF = json.dumps({"job": {"text": {"class": "File", "path": FRUIT}}})
KEY = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "jwt.pem"


def sign(claims, key=None):
    return jwt.encode(claims, key or KEY.read_text(encoding="utf-8"), algorithm="RS256")


def by_hand(algorithm, claims, secret=None):
    """Make a token that no library would."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": algorithm}, claims)]
    signature = hmac.digest(secret, b".".join(parts), "sha256") if secret else b""
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def request_token(method, path, body=None):
    claims = {"exp": int(time.time()) + 60, "sub": "test", "method": method, "path": path, "jti": str(uuid.uuid4())}
    if body is not None:
        claims["sha256"] = hashlib.sha256(body.encode()).hexdigest()
    return sign(claims)


def trigger(host, body, dag=DAG, **login):
    return curl(host, f"{API}/dags/{dag}/dag_runs", body=json.dumps(body), **login)


def state(host, run_id):
    status, answer = curl(host, f"{API}/dag_runs?dag_id={DAG}&run_id={run_id}", user=ADMIN)
    assert status == 200, answer
    return next((run["state"] for run in json.loads(answer)["dag_runs"]), None)


def ended(host, run_id):
    deadline = time.monotonic() + 180
    while (now := state(host, run_id)) not in ("success", "failed"):
        assert time.monotonic() < deadline, now
        time.sleep(1)
    return now


@pytest.fixture
def run():
    """Return what triggers a run of its own name."""
    return {"run_id": f"api-{uuid.uuid4()}", "conf": CONF}


@pytest.fixture
def narrow(host):
    """Return the login of a user who may see, trigger and stop the runs of one DAG."""
    host.check_output("airflow roles create Narrow")
    try:
        host.check_output(
            f"airflow roles add-perms Narrow --resource DAG:{DAG} 'DAG Runs' --action can_read can_create can_edit"
        )
        with made_user(host, "narrow", "Narrow") as made:
            yield made
    finally:
        host.check_output("airflow roles delete Narrow")


@pytest.fixture
def document(host):
    """Return the path of a document on the host."""
    text = {"cwlVersion": "v1.2", "class": "CommandLineTool", "arguments": ["true"], "inputs": {}, "outputs": {}}
    host.check_output(f"printf %s {shlex.quote(json.dumps(text))} > /tmp/uploaded.cwl")
    yield "/tmp/uploaded.cwl"
    host.check_output("rm /tmp/uploaded.cwl")


@pytest.mark.parametrize("path", ["dags", "dag_runs", "wes/service-info", "wes/runs", "ui/", "swagger.json", "nothing"])
def test_strangers_learn_nothing(host, path):
    for login in (None, "admin:wrong", "nobody:wrong"):
        assert curl(host, f"{API}/{path}", user=login)[0] == 401


def test_strangers_trigger_nothing(host, run):
    assert trigger(host, run)[0] == 401
    assert trigger(host, run, user="admin:wrong")[0] == 401
    assert state(host, run["run_id"]) is None


def test_a_user_triggers_once_what_is_there(host, run):
    assert trigger(host, run, user=ADMIN)[0] == 200
    assert trigger(host, run, user=ADMIN)[0] == 409
    assert trigger(host, run, dag="no-such-dag", user=ADMIN)[0] == 404
    assert ended(host, run["run_id"]) == "success"


def test_configuration_may_be_an_object(host, run):
    status, answer = trigger(host, {**run, "conf": json.loads(CONF)}, user=ADMIN)
    assert status == 200, answer
    assert ended(host, run["run_id"]) == "success"


def test_who_may_read_may_not_trigger(host, run, viewer):
    assert curl(host, f"{API}/dags", user=viewer)[0] == 200
    assert trigger(host, run, user=viewer)[0] == 403
    document = f"workflow=@/var/lib/airflow/dags/{DAG}/sort.cwl"
    assert curl(host, f"{API}/dags?dag_id=added", "--form", document, user=viewer)[0] == 403
    assert state(host, run["run_id"]) is None


def test_command_triggers_with_the_key(host, run):
    key = shlex.quote(KEY.read_text(encoding="utf-8"))
    command = ["cwl-airflow-trigger", "-d", DAG, "-r", run["run_id"], "-c", CONF, "-k", "-", "-s"]
    host.check_output(f"printf %s {key} | {shlex.join(command)}")
    assert ended(host, run["run_id"]) == "success"
    again = host.run(f"printf %s {key} | {shlex.join(command)}")
    assert again.rc == 1
    assert "before" in again.stderr


def stop_of(dag_id):
    return json.dumps({"remove_dag_id": dag_id, "remove_run_id": "nowhere"})


def test_who_may_stop_may_not_add_documents(host, user, document):
    form = ("--form", f"workflow=@{document}")
    url = f"{API}/dags/dag_runs?dag_id=clean_dag_run&run_id=run&conf={quote(stop_of(DAG))}"
    assert curl(host, url, *form, user=user)[0] == 403
    assert curl(host, url, *form, user=ADMIN)[0] == 400
    assert trigger(host, {"run_id": "stop", "conf": stop_of(DAG)}, dag="clean_dag_run", user=user)[0] == 200
    assert not host.file("/var/lib/airflow/dags/clean_dag_run.py").exists


def test_an_upload_does_not_replace_the_dag_of_another_file(host, document):
    assert curl(host, f"{API}/dags?dag_id={DAG}", "--form", f"workflow=@{document}", user=ADMIN)[0] == 409
    assert not host.file(f"/var/lib/airflow/dags/{DAG}.py").exists


def test_who_may_see_one_dag_sees_and_stops_no_other(host, narrow):
    assert curl(host, f"{API}/dag_runs?dag_id={DAG}", user=narrow)[0] == 200
    # The last two name the DAG where nobody asked.
    for other in ("dag_runs?dag_id=word-count", "dag_runs", "wes/runs", f"wes/runs?run_id={DAG}", f"dags?dag_id={DAG}"):
        assert curl(host, f"{API}/{other}", user=narrow)[0] == 403, other
    url = f"{API}/dag_runs?dag_id=clean_dag_run&conf="
    mine, other = stop_of(DAG), stop_of("word-count")
    body = json.dumps({"conf": mine})
    assert curl(host, url + quote(other), body=body, user=narrow)[0] == 403
    assert curl(host, url + quote(mine), body=json.dumps({"conf": other}), user=narrow)[0] == 200
    assert curl(host, url + "{}", "--globoff", body=body, user=narrow)[0] == 400
    url = f"{API}/dags/clean_dag_run/dag_runs?conf={quote(mine)}"
    assert curl(host, url, body=json.dumps({"run_id": "stop", "conf": other}), user=narrow)[0] == 403


def test_no_job_is_larger_than_a_run_can_keep(host):
    code = """import json; print(json.dumps({"run_id": "large", "conf": {"job": "x" * 2**20}}))"""
    host.check_output(f"python3 -c {shlex.quote(code)} > /tmp/large")
    try:
        for user, expected in ((None, 413), ("admin:wrong", 401), (ADMIN, 413)):
            assert curl(host, f"{API}/dags/not-there/dag_runs", body="@/tmp/large", user=user)[0] == expected
    finally:
        host.check_output("rm /tmp/large")


def other_key():
    return (
        rsa.generate_private_key(65537, 2048)
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


ATTACKS = {
    "unsigned": lambda run: {"token": sign(run).rpartition(".")[0] + "."},
    "no token": lambda run: {"token": ""},
    "alg none": lambda run: {"token": by_hand("none", run)},
    "another key": lambda run: {"token": sign(run, other_key())},
    "public key as secret": lambda run: {
        "token": by_hand("HS256", run, Path(f"{KEY}.pub").read_text(encoding="utf-8").strip().encode())
    },
    "changed conf": lambda run: {"token": sign(run), "conf": '{"job": {}}'},
    "changed run": lambda run: {"token": sign({**run, "run_id": "another"})},
    "more in the body": lambda run: {"token": sign(run), "more": 1},
    "other DAG": lambda run: {"token": sign({**run, "dag_id": "word-count"})},
    "expired": lambda run: {"token": sign({**run, "exp": int(time.time()) - 5})},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_is_refused(host, run, attack):
    body = run | ATTACKS[attack](run)
    for login in (None, ADMIN):  # a good login does not help a bad token
        status, answer = trigger(host, body, user=login)
        assert status == 403, answer
    assert state(host, run["run_id"]) is None


def test_run_is_accepted_once_even_if_its_rows_are_gone(host, run):
    signed = run | {"token": sign(run)}
    assert trigger(host, signed)[0] == 200
    assert ended(host, run["run_id"]) == "success"
    gone = f"{AIRFLOW}/api/v2/dags/{DAG}/dagRuns/{run['run_id']}"
    for body in (signed, run | {"token": sign({**run, "jti": "2"})}):
        assert trigger(host, body)[0] == 403
    assert trigger(host, signed, dag="word-count")[0] == 403
    assert curl(host, gone, "--request", "DELETE", user=ADMIN)[0] == 204
    for body in (signed, run | {"token": sign({**run, "jti": "3"})}):
        assert trigger(host, body)[0] == 403
    assert state(host, run["run_id"]) is None


def test_token_is_not_used_up_by_a_dag_that_is_not_there(host, run):
    signed = run | {"token": sign(run)}
    assert trigger(host, signed, dag="not-there")[0] == 404
    assert trigger(host, signed, dag="not-there")[0] == 404


def test_request_token_is_for_one_request(host):
    path = f"/api/experimental/dag_runs?dag_id={DAG}"
    token = request_token("GET", path)
    assert curl(host, f"http://127.0.0.1:8081{path}", bearer=token)[0] == 200
    assert curl(host, f"{API}/dag_runs?dag_id=word-count", bearer=token)[0] == 403
    assert curl(host, f"{API}/dags", bearer=token)[0] == 403
    assert curl(host, f"{API}/dags", bearer="x.y.z")[0] == 403


def test_upload_runs_once_and_deletes_no_dag_file(host, document):
    dag_id = "two-uploaded"
    files = "ls --ignore=__pycache__ /var/lib/airflow/dags"
    before = set(host.check_output(files).split())
    path = f"/api/experimental/dags/dag_runs?dag_id={dag_id}&run_id=run&conf=%7B%22job%22%3A%7B%7D%7D"
    upload = ["--form", f"workflow=@{document}"]
    token = request_token("POST", path)
    try:
        status, answer = curl(host, f"http://127.0.0.1:8081{path}", *upload, bearer=token)
        assert status == 200, answer
        assert curl(host, f"http://127.0.0.1:8081{path}", *upload, bearer=token)[0] == 403
        assert set(host.check_output(files).split()) == before | {f"{dag_id}.py", f"{dag_id}.cwl"}
        deadline = time.monotonic() + 90
        runs = f"{API}/dag_runs?dag_id={dag_id}"
        while json.loads(curl(host, runs, user=ADMIN)[1])["dag_runs"][0]["state"] != "success":
            assert time.monotonic() < deadline
            time.sleep(1)
    finally:
        host.run(f"rm -f /var/lib/airflow/dags/{dag_id}.py /var/lib/airflow/dags/{dag_id}.cwl")
        curl(host, f"{AIRFLOW}/api/v2/dags/{dag_id}", "--request", "DELETE", user=ADMIN)


def test_airflows_own_api_takes_tokens(host, run):
    path = f"/api/v2/dags/{DAG}/dagRuns"
    url = AIRFLOW + path
    body = json.dumps({"dag_run_id": run["run_id"], "logical_date": None, "conf": json.loads(CONF)})
    for wrong in ("x.y.z", request_token("POST", path), request_token("POST", path, body + " "), sign(run)):
        assert curl(host, url, body=body, bearer=wrong)[0] in (401, 403)
    assert state(host, run["run_id"]) is None
    token = request_token("POST", path, body)
    assert curl(host, url, body=body, bearer=token)[0] == 200
    assert curl(host, url, body=body, bearer=token)[0] in (401, 403)
    tasks = f"/api/v2/dags/{DAG}/tasks"  # for which Airflow asks twice who it is
    assert curl(host, AIRFLOW + tasks, bearer=request_token("GET", tasks))[0] == 200
    assert ended(host, run["run_id"]) == "success"


def test_clean_dag_run_stops_a_run_and_keeps_its_dag(host, viewer):
    dag = Dag(host, "to-be-stopped")
    dag.write(tool("exec sleep 7665"))
    step = "pgrep -f '^sleep 766[5]'"
    target = {"remove_dag_id": dag.dag_id, "remove_run_id": "run"}
    body = {"run_id": f"stop-{uuid.uuid4()}", "conf": json.dumps(target)}
    try:
        dag.trigger({"job": {}})
        wait_for("step", lambda: host.run(step).rc == 0, 60)
        assert trigger(host, body, dag="clean_dag_run")[0] == 401
        assert trigger(host, body, dag="clean_dag_run", user=viewer)[0] == 403
        assert trigger(host, body | {"token": sign(body | {"conf": "{}"})}, dag="clean_dag_run")[0] == 403
        assert trigger(host, body | {"conf": '{"remove_dag_id": 1}'}, dag="clean_dag_run", user=ADMIN)[0] == 400
        assert host.run(step).rc == 0
        status, answer = trigger(host, body | {"token": sign(body)}, dag="clean_dag_run")
        assert (status, json.loads(answer).get("state")) == (200, "success"), answer
        assert host.run(step).rc == 1
        assert json.loads(curl(host, f"{API}/dag_runs?dag_id={dag.dag_id}", user=ADMIN)[1])["dag_runs"] == []
        assert curl(host, f"{API}/dags?dag_ids={dag.dag_id}", user=ADMIN)[0] == 200
        unknown = {"run_id": f"stop-{uuid.uuid4()}", "conf": {**target, "remove_run_id": "nowhere"}}
        assert trigger(host, unknown, dag="clean_dag_run", user=ADMIN)[0] == 200
    finally:
        dag.remove()
