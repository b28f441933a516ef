"""Who may do what: each cell of the table in docs/security.md, by somebody who tries it."""

from __future__ import annotations

import json
import shlex
import time
import uuid
from contextlib import ExitStack
from pathlib import Path

import jwt
import pytest
from api import ADMIN, AIRFLOW, API, SERVER, USERS, curl, made_user
from callers import REFUSED, Caller
from dags import DAGS, IMAGE, Dag, containers, tool, wait_for
from receiver import PUBLIC, made_receiver
from test_api import by_hand, sign

PAGE = Path(__file__).parents[3] / "docs/security.md"
CWL = "/var/lib/airflow/cwl"
#: A DAG of which a run has ended, whose output they want, and another one.
OTHER, MINE = "rights-other", "rights"
OUTPUT = f"{CWL}/outputs/{OTHER}/run/out.txt"
FRUIT = "the-fruit-of-rights"
MEMBER = "rights-member"
RECEIVER = "http://127.0.0.1:18080/satellite/v1/status"
#: What code that somebody may add does: it becomes root, and takes the administrator's login.
BECOME_ROOT = (
    "docker run --rm --network=none --volume=/:/host debian:trixie-slim "
    "install -m 0600 /host/etc/airflow/administrator.json /host/root/{who}"
)
#: Shows the token that a host gives to a shell.
LOG_IN = """/opt/airflow/bin/python -c 'from cwl_airflow.shell.host import ask_login; print(ask_login()["token"])'"""
#: Takes one report, and shows it as it came.
TAKE_REPORT = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200), self.end_headers()
    def log_message(self, *_): pass
server = HTTPServer(("127.0.0.1", 18080), Handler)
server.timeout = 150
server.handle_request()
"""


def read_table():
    """Return the cells of the page: what may be done, who may, and what the page says."""
    text = PAGE.read_text(encoding="utf-8").partition("\n## Who may do what\n")[2].partition("\n## ")[0]
    (_, *who), _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    return [(what, *cell) for what, *cells in rows for cell in zip(who, cells, strict=True)]


TABLE = read_table()


@pytest.fixture(scope="module")
def other(host):
    """Return a DAG of which a run has ended, with an output, when there is another one."""
    made, mine = Dag(host, OTHER), Dag(host, MINE)
    made.write(tool(f"echo {FRUIT} > out.txt", outputs={"out": {"type": "File", "outputBinding": {"glob": "out.txt"}}}))
    mine.write(tool("true"))
    try:
        made.trigger({"job": {}})
        assert made.ended() == "success"
        mine.known()
        yield made
    finally:
        mine.remove()
        made.remove()


@pytest.fixture(scope="module")
def step(host, other, attached, added):
    """Return the container of a step that has a network, which sleeps; it ends before the others are removed."""
    made = Dag(host, "rights-step")
    made.write(tool("sleep 1800", hints=IMAGE, requirements={"NetworkAccess": {"networkAccess": True}}))
    try:
        made.trigger({"job": {}})
        wait_for("step", lambda: containers(host, "sleep 1800"), 120)
        yield host.check_output("docker ps --quiet --filter status=running --latest")
    finally:
        made.remove()


@pytest.fixture(scope="module")
def member(host):
    """Return a shell of a user in the group `cwl-data`."""
    host.check_output(f"useradd --create-home --groups cwl-data {MEMBER}")
    try:
        yield lambda command: host.run(f"runuser -u {MEMBER} -- sh -c {shlex.quote(command)}")
    finally:
        host.check_output(f"userdel --remove {MEMBER}")
        curl(host, f"{USERS}/{MEMBER}", "--request", "DELETE", user=ADMIN)


@pytest.fixture(scope="module")
def report(host, other):
    """Return the payload of a report as its receiver gets it."""
    taken = f"timeout 160 python3 -c {shlex.quote(TAKE_REPORT)}"
    return json.loads(host.check_output(taken))["payload"]


@pytest.fixture(scope="module")
def attached(host):
    """Return the run that the administrator made of a document which becomes root."""
    document = {"cwlVersion": "v1.2", **tool(BECOME_ROOT.format(who="rights-Admin"))}
    host.check_output(f"printf %s {shlex.quote(json.dumps(document))} > /tmp/rights.cwl")
    fields = ("workflow_params={}", "workflow_url=a.cwl", "workflow_attachment=@/tmp/rights.cwl;filename=a.cwl")
    form = [word for each in fields for word in ("--form", each)]
    status, answer = curl(host, f"{API}/wes/runs", *form, user=ADMIN)
    assert status == 200, answer
    run_id = json.loads(answer)["run_id"]
    try:
        yield run_id
    finally:
        Dag(host, run_id).remove()
        host.check_output("rm /tmp/rights.cwl")


@pytest.fixture(scope="module")
def added(host, member):
    """Return the DAG file that a member of `cwl-data` adds: it runs by itself, and becomes root."""
    made = Dag(host, "rights-added")
    command = BECOME_ROOT.format(who="rights-cwl-data")
    text = (
        "from airflow.providers.standard.operators.bash import BashOperator\nfrom airflow.sdk import DAG\n"
        f'with DAG({made.dag_id!r}, schedule="@once", is_paused_upon_creation=False):\n'
        f'    BashOperator(task_id="root", bash_command={command!r})\n'
    )
    assert member(f"printf %s {shlex.quote(text)} > {DAGS}/{made.dag_id}.py").rc == 0
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def receiver(host, secret):
    """Run the receiver that ships with a host, and return the public key of the site, which it knows."""
    with made_receiver(host, secret("report_private_key")) as made:
        made.start()
        wait_for("receiver", lambda: host.socket("tcp://127.0.0.1:18080").is_listening, 30)
        yield host.file(PUBLIC).content


@pytest.fixture(scope="module")
def who(host, report, step, member):
    """Return those of the table by name, and those who make themselves root by code that they may add."""
    users = {"Viewer": "rights-v", "User": "rights-u", "Op": "rights-o"}

    def in_step(command):
        return host.run(f"docker exec {step} sh -c {shlex.quote(command)}")

    def by_code(name):
        file = f"/root/rights-{name}"
        wait_for(f"code of {name}", lambda: host.file(file).exists, 120)
        assert (host.file(file).user, host.file(file).mode) == ("root", 0o600)
        found = json.loads(host.file(file).content_string)
        return Caller(host, f"{found['user']}:{found['password']}"), Caller(host, shell=host.run)

    with ExitStack() as stack:
        stack.callback(host.run, "rm -f /root/rights-*")
        roles = {role: Caller(host, stack.enter_context(made_user(host, name, role))) for role, name in users.items()}
        direct = {
            "nobody": Caller(host),
            **roles,
            "Admin": Caller(host, ADMIN),
            "trigger token": Caller(host, sign=lambda body: sign(body or {"run_id": str(uuid.uuid4()), "conf": "{}"})),
            "`cwl-data`": Caller(host, shell=member, token=member(LOG_IN).stdout.strip()),
            "step": Caller(host, shell=in_step, on_the_host=False),
            "receiver": Caller(host, sign=lambda _: report),
        }
        yield direct, {"Admin": by_code("Admin"), "`cwl-data`": by_code("cwl-data")}


def may(answer, *fine):
    """Tell whether an answer is no refusal, but one of those that are fine."""
    status, text = answer
    assert status in (*fine, *REFUSED), f"{status} {text}"
    return status in fine


def alike(results):
    """Tell whether all ways to the same are open; none is where another one is not."""
    (open_to,) = set(results)
    return open_to


def starts(caller, dag, conf):
    """Tell whether somebody starts a run at the CWL API."""
    body = {"run_id": f"rights-{uuid.uuid4()}", "conf": json.dumps(conf)}
    return may(caller.ask("POST", f"{API}/dags/{dag}/dag_runs", body=body), 200)


def triggers(caller, dag, job):
    """Tell whether somebody starts a run of a job."""
    return starts(caller, dag, {"job": job})


def reads_file(caller, path, text):
    """Tell whether somebody gets at the text of a file: in a shell, through a path of the servers, or as a job's."""
    if caller.shell:
        return text in caller.shell(f"cat {path}").stdout
    climbs = "..%2f" * 12 + path[1:]
    asked = [f"{API}/ui/{climbs}", f"{SERVER}/static/{climbs}", f"{SERVER}/auth/static/{climbs}", f"{SERVER}/{climbs}"]
    asked += [f"http://127.0.0.1:8793/log/{climbs}", f"http://127.0.0.1:5555/flower/static/{climbs}"]
    return any(text in caller.ask("GET", url, "--path-as-is")[1] for url in asked)


def writes(caller, path, job):
    """Tell whether somebody puts a file somewhere: in a shell, or as what a job says."""
    if not caller.shell:
        triggers(caller, OTHER, job)
    else:
        caller.shell(f"echo forged > {path}")
    try:
        return caller.host.file(path).exists and "forged" in caller.host.file(path).content_string
    finally:
        if path != OUTPUT:
            caller.host.run(f"rm -f {path}")


def sees_the_pages(caller, _):
    return may(caller.ask("GET", f"{SERVER}/auth/login/"), 200, 307)


def lists_dags(caller, _):
    return alike(may(caller.ask("GET", f"{base}/dags"), 200) for base in (AIRFLOW, API))


def reads_runs(caller, _):
    log = f"{AIRFLOW}/dags/{OTHER}/dagRuns/run/taskInstances/{OTHER}/logs/1"
    asked = [f"{AIRFLOW}/dags/{OTHER}/dagRuns", f"{API}/dag_runs?dag_id={OTHER}", log]
    return alike(may(caller.ask("GET", url), 200) for url in asked)


def sees_outputs(caller, _):
    run = f"{SERVER}/cwl/runs/{OTHER}/run"
    ways = [run, f"{run}/outputs/out.txt", f"{run}/outputs/out.txt?as=view", f"{SERVER}/cwl/dags/{OTHER}/picture.svg"]
    return alike(may(caller.ask("GET", url), 200) for url in ways)


def reads_wes(caller, place):
    return may(caller.ask("GET", f"{API}/wes/runs/{place['attached']}"), 200)


def reads_outputs(caller, _):
    return reads_file(caller, OUTPUT, FRUIT)


def takes_anothers_output(caller, _):
    return triggers(caller, MINE, {"in": {"class": "File", "path": OUTPUT}})


def triggers_a_run(caller, _):
    return triggers(caller, OTHER, {})


def brings_code(caller, _):
    over = {f"{OTHER}.cwl": {"requirements": {"ResourceRequirement": {"coresMin": 1}}}}
    return triggers(caller, OTHER, {"cwltool:overrides": over})


def stops(caller, _):
    return starts(caller, "clean_dag_run", {"remove_dag_id": OTHER, "remove_run_id": "nowhere"})


def clears(caller, _):
    body = {"dry_run": False, "dag_run_id": "run", "only_failed": True}
    return may(caller.ask("POST", f"{AIRFLOW}/dags/{OTHER}/clearTaskInstances", body=body), 200)


def deletes(caller, _):
    return may(caller.ask("DELETE", f"{AIRFLOW}/dags/{OTHER}/dagRuns/nowhere"), 404)


def adds_a_document(caller, _):
    new = f"rights-{uuid.uuid4()}"
    answer = caller.ask("POST", f"{API}/dags?dag_id={new}", "--form", f"workflow=@{DAGS}/{OTHER}.cwl")
    caller.host.run(f"rm -f {DAGS}/{new}.*")
    curl(caller.host, f"{AIRFLOW}/dags/{new}", "--request", "DELETE", user=ADMIN)
    return may(answer, 200)


def adds_a_file(caller, _):
    def out(path):
        return {"in": {"class": "File", "basename": f"../../../../../..{path}", "contents": "forged"}}

    paths = [f"{DAGS}/rights-new.py", f"{CWL}/inputs/rights-new"]
    return alike(writes(caller, path, out(path)) for path in paths)


def reads_connections(caller, _):
    return alike(may(caller.ask("GET", f"{AIRFLOW}/{kind}"), 200) for kind in ("connections", "variables"))


def changes_variables(caller, _):
    return may(caller.ask("DELETE", f"{AIRFLOW}/variables/rights-nowhere"), 404)


def changes_users(caller, _):
    return may(caller.ask("DELETE", f"{USERS}/rights-nowhere"), 404)


def sees_flower(caller, _):
    return may(caller.ask("GET", "http://127.0.0.1:5555/flower/workers?json=1"), 200)


def reads_secrets(caller, place):
    job = {"in": {"class": "File", "path": "/etc/airflow/airflow.cfg"}}
    taken = not caller.shell and triggers(caller, MINE, job)
    return taken or reads_file(caller, "/etc/airflow/airflow.cfg", place["fernet_key"])


def logs_in_behind(caller, _):
    """Tell whether somebody gets into database or broker, or reaches their ports where there is no shell."""
    if caller.shell and caller.on_the_host:
        for command in ("mysql --execute='SELECT 1'", "mysql --user=airflow --host=127.0.0.1 --execute='SELECT 1'"):
            if caller.shell(command).rc == 0:
                return True
        return may(caller.ask("GET", "http://127.0.0.1:15672/rabbitmq/api/overview", "--user", "guest:guest"), 200)
    managed = not caller.shell and may(caller.ask("GET", "http://127.0.0.1:15672/rabbitmq/api/overview"), 200)
    return managed or any(caller.connects(port) for port in (3306, 5672, 4369, 25672))


def reaches_services(caller, _):
    if caller.shell:
        return any(caller.connects(port) for port in (22, 3306, 5672, 8080, 8081, 8793))
    return caller.connects(22)


def writes_others_outputs(caller, _):
    if not caller.shell:
        return triggers(caller, MINE, {"outputs_folder": f"{CWL}/outputs/{OTHER}/run"})
    try:
        return writes(caller, OUTPUT, {})
    finally:
        caller.host.run(f"echo {FRUIT} > {OUTPUT}")


def forges_a_report(caller, place):
    claims = {"dag_id": OTHER, "run_id": "run", "state": "failed", "iat": int(time.time())}
    key = caller.shell("cat /etc/airflow/credentials/*report*").stdout if caller.shell else ""
    if "PRIVATE KEY" in key:
        return may(caller.ask("POST", RECEIVER, body={"payload": jwt.encode(claims, key, "RS256")}), 200)
    head, _, signature = place["report"].rpartition(".")
    payloads = [claims, by_hand("none", claims), by_hand("HS256", claims, place["public_key"]), sign(claims)]
    payloads.append(f"{head.partition('.')[0]}.{by_hand('none', claims).split('.')[1]}.{signature}")
    return any(may(caller.ask("POST", RECEIVER, body={"payload": payload}), 200) for payload in payloads)


def becomes_root(caller, _):
    if caller.shell:
        tries = ("id -u", "sudo --non-interactive id -u", "docker run --rm debian:trixie-slim id -u", "unshare id -u")
        return any(caller.shell(each).stdout.strip() == "0" for each in tries)
    return triggers(caller, OTHER, {"outputs_folder": "/etc/cron.d"})


#: How each row is tried.
TRIES = {
    "see the web pages' login": sees_the_pages,
    "list DAGs": lists_dags,
    "read runs and the logs of their tasks": reads_runs,
    "look at a run's outputs on its page, download them": sees_outputs,
    "read what a run of WES gave": reads_wes,
    "trigger a run": triggers_a_run,
    "give a run outputs of another DAG as inputs": takes_anothers_output,
    "trigger with a job that changes the document": brings_code,
    "stop a run": stops,
    "clear tasks of a run": clears,
    "delete a run": deletes,
    "add a document through the CWL API": adds_a_document,
    "read connections and variables": reads_connections,
    "change connections and variables": changes_variables,
    "change users": changes_users,
    "see Celery's tasks in Flower": sees_flower,
    "reach ports of the host": reaches_services,
    "read files of outputs on the host": reads_outputs,
    "add DAG files and inputs on the host": adds_a_file,
    "change outputs of another DAG": writes_others_outputs,
    "read the secrets in `/etc/airflow`": reads_secrets,
    "log in at database or broker": logs_in_behind,
    "sign a report": forges_a_report,
    "become root": becomes_root,
}


@pytest.fixture(scope="module")
def place(attached, report, receiver, secret):
    """Return what is there to be asked for."""
    return {"attached": attached, "report": report, "public_key": receiver, "fernet_key": secret("fernet_key")}


def test_the_table_has_each_row_once():
    assert sorted({what for what, _, _ in TABLE}) == sorted(TRIES)
    assert len(TABLE) == len(TRIES) * 9


@pytest.mark.parametrize(("what", "name", "said"), TABLE, ids=[f"{what}-{name}" for what, name, _ in TABLE])
def test_the_table_is_right(who, place, what, name, said):
    direct, by_code = who
    assert TRIES[what](direct[name], place) == (said == "yes")
    if said != "yes":
        reached = any(TRIES[what](caller, place) for caller in by_code.get(name, ()))
        assert reached == (said == "by code")
