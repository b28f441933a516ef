"""What the JavaScript of a document reaches when it leaves Node's vm, and that it works where it reaches nothing."""

from __future__ import annotations

import json
import re
import shlex
import uuid

import pytest
from dags import DAGS, wait_for

UNIT = "airflow-cwl-javascript"
CONFIG = "/etc/airflow/airflow.cfg"
#: What an escape tries, by name: each gives what it got, or the error's code.
ATTEMPTS = {
    "configuration": f"fs.readFileSync('{CONFIG}', 'utf8')",
    "environment": "fs.readFileSync('/etc/default/airflow', 'utf8')",
    "data": "fs.readdirSync('/var/lib/airflow')",
    "dags": f"fs.writeFileSync('{DAGS}/escaped.txt', '')",
    "processes": "fs.readFileSync('/proc/1/cmdline', 'utf8')",
    "docker": "connect({path: '/var/run/docker.sock'})",
    "itself": f"connect({{path: '/run/{UNIT}.socket'}})",
    "database": "connect({host: '127.0.0.1', port: 3306})",
    "webserver": "connect({host: '127.0.0.1', port: 8080})",
}
ESCAPE = """${
  var outside = globalThis.constructor.constructor;
  var process = outside('return process')();
  var need = process.mainModule ? process.mainModule.require : outside('return require')();
  var fs = need('fs');
  function connect(to) {
    var script = "var s = require('net').connect(" + JSON.stringify(to) + ");"
      + "s.on('connect', function () { console.log('connected'); process.exit(); });"
      + "s.on('error', function (e) { console.log(e.code); process.exit(); });";
    return need('child_process').execFileSync(process.execPath, ['-e', script]).toString().trim();
  }
  function attempt(what) { try { return String(what()); } catch (error) { return error.code || String(error); } }
  return {got: {
    version: process.version, uid: process.getuid(), groups: process.getgroups(),
    ATTEMPTS
  }};
}""".replace(
    "ATTEMPTS", ", ".join(f"{key}: attempt(function () {{ return {what}; }})" for key, what in ATTEMPTS.items())
)
REFUSED = {"ENOENT", "EACCES", "EPERM", "EROFS", "EAFNOSUPPORT", "ENETUNREACH", "ECONNREFUSED"}


def expression(script, kind="Any", library=()):
    """Return a document with an expression that gives `got`."""
    return {
        "class": "ExpressionTool",
        "requirements": {"InlineJavascriptRequirement": {"expressionLib": list(library)}},
        "inputs": {"number": "int"},
        "outputs": {"got": kind},
        "expression": script,
    }


def processes(host):
    """Return the units of JavaScript that run."""
    return host.check_output(f"systemctl list-units --no-legend --plain '{UNIT}@*'").splitlines()


def accepted(host):
    """Return how many processes there have been."""
    return int(host.check_output(f"systemctl show --property=NAccepted --value {UNIT}.socket"))


def test_an_escape_gains_nothing(dag):
    dag.write(expression(ESCAPE))
    dag.trigger({"job": {"number": 1}})
    assert dag.ended() == "success"
    got = dag.report()["got"]
    assert got["version"].startswith("v"), "it did not leave vm"
    assert got["uid"] not in (0, int(dag.host.check_output("id --user airflow")))
    assert got["groups"] == [got["uid"]]  # its own, which nobody else has
    assert {name: got[name] for name in ATTEMPTS if got[name] not in REFUSED} == {}
    assert not dag.host.file(f"{DAGS}/escaped.txt").exists


def test_the_same_escape_gains_all_of_it_where_the_engine_starts_node(host):
    """Else the test above would prove nothing."""
    script = (
        "import json, sys; from cwl_utils.sandboxjs import NodeJSEngine; "
        "print(json.dumps(NodeJSEngine().eval(sys.argv[1])))"
    )
    docker = host.check_output("getent group docker").split(":")[2]
    as_a_task = ["setpriv", "--reuid=airflow", "--regid=airflow", f"--groups={docker}"]
    command = [*as_a_task, "/opt/airflow/bin/python", "-c", script, ESCAPE[1:]]
    try:
        got = json.loads(host.check_output(shlex.join(command)))["got"]
    finally:
        host.run(f"rm -f {DAGS}/escaped.txt")
    assert int(docker) in got["groups"]
    assert "fernet_key" in got["configuration"]
    assert [name for name in ATTEMPTS if got[name] in REFUSED] == []


def test_expressions_and_libraries_work(dag):
    before = accepted(dag.host)
    dag.write(
        expression(
            "${ return {got: {twice: twice(inputs.number), text: 'ä\\u2028'}}; }",
            library=["function twice(x) { return x * 2; }"],
        )
    )
    dag.trigger({"job": {"number": 21}})
    assert dag.ended() == "success"
    assert dag.report()["got"] == {"twice": 42, "text": "ä\u2028"}
    assert accepted(dag.host) > before


def test_the_cwl_api_has_documents_checked_there(dag, secret):
    # One that was not checked before.
    document = {"cwlVersion": "v1.2", **expression(f"${{ return {{got: '{uuid.uuid4()}'}}; }}")}
    file = f"/tmp/{dag.dag_id}.cwl"
    dag.host.check_output(f"printf %s {shlex.quote(json.dumps(document))} > {file}")
    before = accepted(dag.host)
    login = shlex.quote(f"admin:{secret('airflow_admin')}")
    url = f"http://127.0.0.1:8081/api/experimental/dags?dag_id={dag.dag_id}"
    answer = dag.host.check_output(f"curl --fail --silent --user {login} --form workflow=@{file} {shlex.quote(url)}")
    assert json.loads(answer)["dag_id"] == dag.dag_id
    assert accepted(dag.host) > before


def test_an_expression_that_takes_too_long_ends(dag):
    dag.write(expression("${ while (true); }"), eval_timeout=3)
    dag.trigger({"job": {"number": 1}})
    assert dag.ended() == "failed"
    assert "Long-running script killed after 3 seconds" in dag.log(dag.dag_id)
    wait_for("end of Node.js", lambda: not processes(dag.host), 90)


def test_an_expression_that_takes_too_much_memory_ends(dag):
    dag.write(expression("${ var all = []; while (true) all.push({number: all.length}); }"))
    dag.trigger({"job": {"number": 1}})
    assert dag.ended(180) == "failed"
    assert "reaching memory limit" in dag.log(dag.dag_id)


def test_what_leaves_its_heap_is_ended_by_the_unit(dag):
    dag.write(expression("${ var all = []; while (true) all.push(new Uint8Array(1 << 24).fill(1)); }"))
    dag.trigger({"job": {"number": 1}})
    assert dag.ended(180) == "failed"
    assert f"journalctl --unit='{UNIT}@*'" in dag.log(dag.dag_id)
    journal = dag.host.check_output(f"journalctl --no-pager --since=-10min --unit='{UNIT}@*'")
    assert re.search("oom-kill|status=9/KILL", journal)  # only with cgroup v2 does systemd know who killed it


@pytest.fixture
def closed(host):
    """Return a function that closes the socket, which is open again afterwards."""
    yield lambda: host.check_output(f"systemctl stop {UNIT}.socket")
    host.check_output(f"systemctl start {UNIT}.socket")


def test_without_the_socket_an_expression_fails_by_its_name(dag, closed):
    dag.write(expression("${ return {got: inputs.number}; }"))
    dag.known()
    closed()
    dag.trigger({"job": {"number": 1}})
    assert dag.ended() == "failed"
    assert f"see systemctl status {UNIT}.socket" in dag.log(dag.dag_id)
    assert dag.host.run("pgrep --exact node").rc == 1
