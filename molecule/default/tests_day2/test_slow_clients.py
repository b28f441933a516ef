"""Clients that are slow to send hold up nobody, neither at the CWL API nor at Airflow's API server."""

from __future__ import annotations

import json
import shlex

import pytest

#: Slow clients at a time, of three kinds: they say nothing, do not end the head of a request, or its body.
SLOW = 60
#: Runs on the host, against its loopback only. It prints status and time, in seconds, of requests beside slow ones.
SCRIPT = """
import http.client, json, socket, threading, time
slow = [socket.create_connection(("127.0.0.1", {port})) for _ in range({slow})]
head = b"POST /api/experimental/dags/two-step/dag_runs HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\n"
for number, client in enumerate(slow):
    client.sendall((b"", head, head + b"Content-Length: 9999\\r\\n\\r\\n")[number % 3])
ended = threading.Event()
def trickle():
    while not ended.wait(0.5):
        for client in slow[1::3] + slow[2::3]:
            client.sendall(b"a")
threading.Thread(target=trickle).start()
answers = []
try:
    for _ in range(5):
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", {port}, timeout=30)
        connection.request("GET", "{path}")
        answers.append([connection.getresponse().status, time.monotonic() - began])
finally:
    ended.set()
print(json.dumps(answers))
"""


@pytest.mark.parametrize(
    ("port", "path", "status"), [(8081, "/api/experimental/dags", 401), (8080, "/api/v2/monitor/health", 200)]
)
def test_slow_clients_hold_up_nobody(host, port, path, status):
    script = SCRIPT.format(port=port, path=path, slow=SLOW)
    answers = json.loads(host.check_output(f"python3 -c {shlex.quote(script)}"))
    assert [answer[0] for answer in answers] == [status] * 5
    assert max(answer[1] for answer in answers) < 5, answers
