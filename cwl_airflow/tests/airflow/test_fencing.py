"""When a worker ends itself."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

#: Hosts that answer, and those of networks that nobody has (RFC 5737).
THERE = ["127.0.0.2", "127.0.0.3"]
AWAY = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
#: Where no API server is.
SERVER = "http://127.0.0.1:1/execution/"


#: A network of the test's own, in which every user may ask whether a host is there.
NETWORK = ["unshare", "--map-root-user", "--net", "sh", "-ec"]
ENTER = 'ip link set lo up; echo 0 0 > /proc/sys/net/ipv4/ping_group_range; exec "$@"'


def run(script: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """Run a script of Python in that network."""
    python = [sys.executable, "-c", script, json.dumps(arguments)]
    return subprocess.run([*NETWORK, ENTER, "sh", *python], capture_output=True, text=True, check=False, timeout=120)


LOOKS = """
import json, sys
from cwl_airflow.fencing import Fence, find_answering
server, there, sites = json.loads(sys.argv[1])
print(json.dumps([sorted(find_answering(there)), [Fence(hosts, server, 1).is_cut_off() for hosts in sites]]))
"""


def test_a_host_without_most_of_its_site_is_cut_off() -> None:
    sites = {
        "all others there": (THERE, False),
        "most there": (THERE + AWAY[:2], False),
        "half there": (THERE[:1] + AWAY[:2], True),
        "nobody there": (AWAY[:1], True),
    }
    done = run(LOOKS, SERVER, THERE + AWAY, [hosts for hosts, _ in sites.values()])
    assert done.returncode == 0, done.stderr
    found, cut_off = json.loads(done.stdout.splitlines()[-1])
    assert found == THERE
    assert dict(zip(sites, cut_off, strict=True)) == {name: expected for name, (_, expected) in sites.items()}


WORKER = """
import json, sys, time
from cwl_airflow import fencing
fencing.PAUSE = fencing.TIMEOUT = 0.1
fencing.Fence(json.loads(sys.argv[1])[1], json.loads(sys.argv[1])[0], 1).watch()
time.sleep(4)
"""


@pytest.mark.parametrize(("hosts", "status"), [(AWAY, -signal.SIGKILL), (THERE, 0)], ids=["cut off", "not"])
def test_a_worker_that_is_cut_off_ends(hosts: list[str], status: int) -> None:
    done = run(WORKER, SERVER, hosts)
    assert done.returncode == status, done.stderr
    assert ("cut off from its site for 1 s" in done.stdout + done.stderr) is bool(status)


ANSWERED = """
import http.server, json, sys, threading
from cwl_airflow.fencing import Fence
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(Fence(json.loads(sys.argv[1])[0], f"http://127.0.0.1:{server.server_port}/execution/", 1).is_cut_off())
"""


def test_an_api_server_that_answers_is_enough() -> None:
    done = run(ANSWERED, AWAY)
    assert done.stdout.splitlines()[-1:] == ["False"], done.stderr
