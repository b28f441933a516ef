"""Whatever the CWL API is sent, it answers with what is wrong, and leaves nothing behind."""

from __future__ import annotations

import base64
import http.client
import json
import uuid
import zlib
from urllib.parse import quote, quote_from_bytes

import pytest
from api import ADMIN, AIRFLOW, curl, made_user
from dags import DAGS, TMP, wait_for
from forward import forwarded

BASE = "/api/experimental"
LOGIN = {"Authorization": f"Basic {base64.b64encode(b'checks:checks-only').decode()}"}
JSON = {"Content-Type": "application/json"}
DOCUMENT = json.dumps(
    {"cwlVersion": "v1.2", "class": "CommandLineTool", "arguments": ["true"], "inputs": {}, "outputs": {}}
).encode()
DEEP = b"[" * 200_000
#: Values of parameters, percent-encoded: none of them names anything.
VALUES = {
    "empty": "",
    "NUL": "%00",
    "NUL inside": "a%00b",
    "newline": "a%0A",
    "escape": "%1B%5B31m",
    "not UTF-8": "%FF",
    "surrogate": quote_from_bytes(b"\xed\xa0\x80"),
    "beyond U+FFFF": quote("😀"),
    "U+FFFF": quote("\uffff"),
    "with a dot": "no.such.dag",
    "dots": "..",
    "dots and slashes": quote("../../etc/passwd", safe=""),
    "option": "--help",
    "quotes": quote("';--\"`$(id)", safe=""),
    "long": "a" * 5000,
    "not decoded": "%zz",
}
#: Requests in which `{}` is such a value.
REQUESTS = {
    "get_dags": ("GET", "/dags?dag_ids={}"),
    "get_dag_runs of a DAG": ("GET", "/dag_runs?dag_id={}"),
    "get_dag_runs of a run": ("GET", "/dag_runs?run_id={}"),
    "get_dag_runs of a time": ("GET", "/dag_runs?execution_date={}"),
    "get_dag_runs of a state": ("GET", "/dag_runs?state={}"),
    "get_dag_runs of something else": ("GET", "/dag_runs?{}=1&dag_id=no"),
    "post_dags": ("POST", "/dags?dag_id={}"),
    "post_dag_runs of a DAG": ("POST", "/dag_runs?dag_id={}"),
    "post_dag_runs of a run": ("POST", "/dag_runs?dag_id=no.dag&run_id={}"),
    "post_dag_runs with a job": ("POST", "/dag_runs?dag_id=two-step&conf=x{}"),
    "post_dag_runs_legacy": ("POST", "/dags/{}/dag_runs"),
    "post_dags_dag_runs of a DAG": ("POST", "/dags/dag_runs?run_id=run&dag_id={}"),
    "post_dags_dag_runs of a run": ("POST", "/dags/dag_runs?dag_id=no.dag&run_id={}"),
    "wes_list_runs": ("GET", "/wes/runs?page_size={}"),
    "wes_get_run_log": ("GET", "/wes/runs/{}"),
    "wes_get_run_status": ("GET", "/wes/runs/{}/status"),
    "wes_cancel_run": ("POST", "/wes/runs/{}/cancel"),
    "nothing": ("GET", "/{}"),
}


class Api:
    """The CWL API of a host."""

    def __init__(self, port):
        """Note where it is."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method, path, body=None, headers=LOGIN):
        """Return status and answer; one that refuses has to be a problem with a sentence."""
        self._connection.request(method, BASE + path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            assert answer.getheader("Content-Type") == "application/problem+json", (answer.status, text)
            problem = json.loads(text)
            assert problem["status"] == answer.status
            assert problem["detail"], text
            assert "\n" not in problem["detail"], text
            assert len(problem["detail"]) < 3000
        return answer.status, text.decode()


@pytest.fixture(scope="module")
def api(host):
    """Return the API."""
    with made_user(host, "checks", "Admin"), forwarded(host, 8081) as port:
        yield Api(port)


@pytest.fixture
def unchanged(host):
    """Check that a test leaves no file and no DAG."""

    def there():
        query = "SELECT dag_id FROM airflow.dag UNION SELECT dag_id FROM airflow.serialized_dag"
        return host.check_output(
            f"ls -AR {DAGS} {TMP} | grep -v pyc; ls /var/lib/airflow/cwl/pickle/embedded; "
            f"mysql --skip-column-names --execute='{query}' | sort"
        )

    folders = f"/var/lib/airflow/cwl/pickle/embedded {TMP}/@wes"
    host.check_output(f"install -d -o airflow -g cwl-data -m 2750 {folders}")
    before = there()
    yield
    assert there() == before


def form(*parts, boundary="b"):
    """Return a body of `multipart/form-data` and its headers.

    :param parts: name, file name (none for a field) and content.
    """
    body = b""
    for name, filename, content in parts:
        more = b"" if filename is None else b'; filename="' + filename.encode("utf-8", "surrogateescape") + b'"'
        body += b"--b\r\nContent-Disposition: form-data; name=" + name.encode() + more + b"\r\n\r\n" + content + b"\r\n"
    return body + b"--b--\r\n", {**LOGIN, "Content-Type": f"multipart/form-data; boundary={boundary}"}


def packed(text):
    return base64.b64encode(zlib.compress(text, 9))


@pytest.mark.parametrize("request_", REQUESTS)
def test_what_names_nothing_is_refused(api, request_, unchanged):
    method, path = REQUESTS[request_]
    for what, value in VALUES.items():
        body, headers = form(("workflow", "a.cwl", b"no document")) if "dags?" in path else (None, LOGIN)
        if request_ == "post_dag_runs_legacy":
            body, headers = b"{}", LOGIN | JSON
        status, answer = api.ask(method, path.format(value), body, headers)
        assert status < 500, (what, answer)
        assert method == "GET" or status >= 400, (what, answer)


BODIES = {
    "empty": b"",
    "not UTF-8": b'{"run_id": "\xff"}',
    "not JSON": b"{",
    "deep": DEEP,
    "deep object": b'{"conf":' * 100_000,
    "deep conf": json.dumps({"run_id": "r", "conf": DEEP.decode()}).encode(),
    "deeper than others take": json.dumps({"run_id": "r", "conf": json.loads("[" * 150 + "]" * 150)}).encode(),
    "list": b"[]",
    "text": b'"text"',
    "null": b"null",
    "NaN": b'{"conf": {"job": NaN}}',
    "too large a number": b'{"conf": {"job": 1e999}}',
    "half a character": b'{"conf": {"job": {"a": "\\ud800"}}}',
    "run is a number": b'{"run_id": 1}',
    "run beyond U+FFFF": '{"run_id": "😀"}'.encode(),
    "run with NUL": b'{"run_id": "a\\u0000"}',
    "run with newline": b'{"run_id": "a\\n"}',
    "run is long": json.dumps({"run_id": "r" * 251}).encode(),
    "conf is a number": b'{"conf": 1}',
    "conf is no JSON": b'{"conf": "{"}',
    "conf is too large": json.dumps({"run_id": "r", "conf": {"job": {"a": "x" * 2**20}}}).encode(),
    "token is a number": b'{"run_id": "r", "conf": "{}", "token": 1}',
    "token is deep": json.dumps(
        {"run_id": "r", "conf": "{}", "token": base64.urlsafe_b64encode(DEEP).decode().strip("=") + ".e30.x"}
    ).encode(),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_job_that_cannot_be_read_is_refused(api, body):
    for login in (LOGIN, {}):
        status, answer = api.ask("POST", "/dags/two-step/dag_runs", BODIES[body], login | JSON)
        assert 400 <= status < 500, answer


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-16", "text/plain", "application/xml", "x", ""])
def test_a_job_of_another_media_type_is_refused(api, content_type):
    for body in (b'{"run_id": 1}', b"{", DEEP):
        headers = {**LOGIN} | ({"Content-Type": content_type} if content_type else {})
        status, answer = api.ask("POST", "/dags/two-step/dag_runs", body, headers)
        assert status in (400, 415), answer


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://["},
        {"Origin": "null"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic ====="},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
        {"Authorization": "Basic " + base64.b64encode("😀\0:x".encode()).decode()},
        {"Authorization": "Basic " + base64.b64encode(b"a" * 5000 + b":" + b"b" * 5000).decode()},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer " + base64.urlsafe_b64encode(b"[" * 8000).decode().strip("=") + ".e30.x"},
        {"Authorization": "Digest username=x"},
        {"Content-Length": "9" * 30},
        {"Content-Type": "multipart/form-data; boundary=" + "x" * 5000},
        {"Content-Encoding": "gzip"},
    ],
)
def test_strangers_headers_are_refused(api, headers):
    for path in ("/dags/two-step/dag_runs", "/dags?dag_id=x", "/wes/runs"):
        status, answer = api.ask("POST", path, None if "Content-Length" in headers else b"{}", headers)
        assert status in (401, 403, 413), answer
        api._connection.close()


UPLOADS = {
    "nothing": form(),
    "no form": (b"", LOGIN),
    "JSON": (b"{}", LOGIN | JSON),
    "no boundary": (form()[0], {**LOGIN, "Content-Type": "multipart/form-data"}),
    "another boundary": form(("workflow", "a.cwl", DOCUMENT), boundary="c"),
    "cut off": (form(("workflow", "a.cwl", DOCUMENT))[0][:-60], form()[1]),
    "no parts": (b"--b\r\n\r\n", form()[1]),
    "too many parts": form(*[("x", None, b"")] * 1001),
    "no document": form(("workflow", "a.cwl", b"no: document")),
    "empty document": form(("workflow", "a.cwl", b"")),
    "document that is not UTF-8": form(("workflow", "a.cwl", b"\xff\xfe\x00")),
    "document with NUL": form(("workflow", "a.cwl", DOCUMENT + b"\0")),
    "deep document": form(("workflow", "a.cwl", DEEP)),
    "document twice": form(("workflow", "a.cwl", DOCUMENT), ("workflow", "b.cwl", DOCUMENT)),
    "both kinds": form(("workflow", "a.cwl", DOCUMENT), ("workflow_content", None, packed(DOCUMENT))),
    "document as a field": form(("workflow", None, DOCUMENT)),
    "content that is a path": form(("workflow_content", None, b"/var/lib/airflow/dags/two-step/sort.cwl")),
    "content that is a URL": form(("workflow_content", None, b"http://127.0.0.1:8080/")),
    "content that is no document": form(("workflow_content", None, packed(b"no: document"))),
    "content that is not UTF-8": form(("workflow_content", None, packed(b"\xff"))),
    "content that is huge": form(("workflow_content", None, packed(bytes(80 * 2**20)))),
    "content twice": form(*[("workflow_content", None, packed(DOCUMENT))] * 2),
    "queue that is not there": form(
        ("workflow", "a.cwl", DOCUMENT[:-1] + b',"requirements":{"ResourceRequirement":{"coresMin":100000}}}')
    ),
}


@pytest.mark.parametrize("upload", UPLOADS)
def test_an_upload_that_is_refused_leaves_nothing(api, upload, unchanged):
    for path in ("/dags?dag_id=refused", "/dags/dag_runs?dag_id=refused&run_id=run"):
        status, answer = api.ask("POST", path, *UPLOADS[upload])
        assert 400 <= status < 500, answer


@pytest.mark.parametrize("name", ["", "..", ".", "-rf", ".hidden", "a\n", "a/b", "../a", "ä", "a b", "clean_dag_run"])
def test_a_dag_has_a_name_that_can_be_a_file_and_an_argument(api, name, unchanged):
    for path in (f"/dags?dag_id={quote(name, safe='')}", f"/dags/dag_runs?run_id=run&dag_id={quote(name, safe='')}"):
        if name or "dag_runs" in path:
            status, answer = api.ask("POST", path, *form(("workflow", "a.cwl", DOCUMENT)))
            assert status == 400, answer


@pytest.mark.parametrize("query", ["run_id=run&conf={", "run_id=no/run", "run_id=a%0A", "run_id=run&conf=[]"])
def test_an_upload_whose_run_is_refused_leaves_no_dag(api, query, unchanged):
    status, answer = api.ask("POST", f"/dags/dag_runs?dag_id=refused&{query}", *form(("workflow", "a.cwl", DOCUMENT)))
    assert status == 400, answer


def attached(*files, url=b"a.cwl", params=b"{}", more=()):
    """Return a request of WES."""
    fields = [("workflow_params", None, params), ("workflow_url", None, url), *more]
    return form(*fields, *[("workflow_attachment", name, content) for name, content in files])


GOOD = ("a.cwl", DOCUMENT)
ATTACHED = {
    "no parameters": form(("workflow_url", None, b"a.cwl"), ("workflow_attachment", *GOOD)),
    "no workflow": form(("workflow_params", None, b"{}"), ("workflow_attachment", *GOOD)),
    "nothing attached": attached(),
    "parameters twice": attached(GOOD, more=[("workflow_params", None, b"{}")]),
    "parameters are no JSON": attached(GOOD, params=b"{"),
    "parameters are a list": attached(GOOD, params=b"[]"),
    "parameters are deep": attached(GOOD, params=DEEP),
    "workflow is not attached": attached(GOOD, url=b"b.cwl"),
    "workflow is a path": attached(GOOD, url=b"/var/lib/airflow/dags/two-step/sort.cwl"),
    "workflow is above": attached(GOOD, url=b"../a.cwl"),
    "workflow is a URL": attached(GOOD, url=b"http://127.0.0.1:8080/a.cwl"),
    "workflow is no document": attached(("a.cwl", b"no: document")),
    "workflow is deep": attached(("a.cwl", DEEP)),
    "process is not there": attached(GOOD, url=b"a.cwl#nothing"),
    **{
        f"attachment named {name!r}": attached(GOOD, (name, b"x"))
        for name in ("", "/etc/x", "../x", "a/../../x", "..", ".", "a//b", "a/", "x\0", "x\udcff", "x" * 300, "a.cwl")
    },
    "attachment is a folder of another": attached(GOOD, ("x", b""), ("x/y", b"")),
    "attachment has no name": form(
        ("workflow_params", None, b"{}"),
        ("workflow_url", None, b"a.cwl"),
        ("workflow_attachment", *GOOD),
        ("workflow_attachment", "", b"x"),
    ),
}


@pytest.mark.parametrize("request_", ATTACHED)
def test_attachments_that_are_refused_leave_nothing(api, request_, unchanged):
    status, answer = api.ask("POST", "/wes/runs", *ATTACHED[request_])
    assert 400 <= status < 500, answer


def test_a_request_that_is_too_large_leaves_nothing(host, unchanged):
    with forwarded(host, 8081) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.putrequest("POST", f"{BASE}/wes/runs")
        for name, value in {**form()[1], "Content-Length": str(64 * 2**20 + 1)}.items():
            connection.putheader(name, value)
        connection.endheaders()  # it is refused before its body is there
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["status"]) == (413, 413)


def test_attachments_run(api, host):
    document = {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "inputs": {"text": "File"},
        "outputs": {"copy": {"type": "File", "outputSource": "cat/copy"}},
        "steps": {"cat": {"run": "tools/cat it.cwl", "in": {"text": "text"}, "out": ["copy"]}},
    }
    cat = {
        "class": "CommandLineTool",
        "cwlVersion": "v1.2",
        "baseCommand": "cat",
        "inputs": {"text": {"type": "File", "inputBinding": {}}},
        "outputs": {"copy": "stdout"},
    }
    text = uuid.uuid4().hex.encode()
    body = attached(
        ("main.cwl", json.dumps(document).encode()),
        ("tools/cat it.cwl", json.dumps(cat).encode()),
        ("data/größe.txt", text),
        url=b"main.cwl",
        params=json.dumps({"text": {"class": "File", "path": "data/größe.txt"}}).encode(),
    )
    status, answer = api.ask("POST", "/wes/runs", *body)
    assert status == 200, answer
    run_id = json.loads(answer)["run_id"]
    try:

        def log():
            return json.loads(api.ask("GET", f"/wes/runs/{run_id}")[1])

        ended = wait_for("run", lambda: (run := log())["state"] not in ("QUEUED", "RUNNING") and run, 120)
        assert ended["state"] == "COMPLETE", ended
        location = ended["outputs"]["copy"]["location"]
        assert host.check_output(f"cat '{location.removeprefix('file://')}'") == text.decode()
        assert run_id in [run["run_id"] for run in json.loads(api.ask("GET", "/wes/runs")[1])["runs"]]
    finally:
        host.run(f"rm -rf {DAGS}/{run_id}.py {TMP}/@wes/{run_id} {TMP}/{run_id} /var/lib/airflow/cwl/outputs/{run_id}")
        curl(host, f"{AIRFLOW}/dags/{run_id}", "--request", "DELETE", user=ADMIN)
