"""When a worker ends itself, and what ends with it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.gate.places import RUNS

#: A network of the test's own, in which nobody else is.
NETWORK = ["unshare", "--map-root-user", "--net", "sh", "-ec", 'ip link set lo up; exec "$@"', "sh"]
START = """
import http.server, json, socket, sys, threading, time
from pathlib import Path
from cwl_airflow import fencing
from cwl_airflow.containers import ContainerEngine
from sqlalchemy.engine import make_url
fencing.PAUSE = fencing.TIMEOUT = 0.1
# Nobody is there; somebody who has no database; somebody who is none.
AWAY = "mysql://user@192.0.2.1/airflow"  # RFC 5737
REFUSED = "mysql://user@127.0.0.1:1/airflow"
other = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=other.serve_forever, daemon=True).start()
OTHER = f"mysql://user@127.0.0.1:{other.server_port}/airflow"
NO_SERVER, SERVER = "http://127.0.0.1:1/execution/", f"http://127.0.0.1:{other.server_port}/execution/"

def fence(server, database, seconds=1):
    engine, tmp = json.loads(sys.argv[1])
    return fencing.Fence(server, make_url(database), seconds, ContainerEngine(engine), Path(tmp))
"""
#: Lists containers, notes which it is to remove, and says that one stays.
ENGINE = """#!/bin/sh
case $1 in
ps) echo step elsewhere other ;;
inspect)
  printf '%s\\t%s\\n' step "{tmp}/dag/run" elsewhere "/scratch/{runs}/dag/run" other "{tmp}-of-others" ;;
rm) echo "$@" >> "{tmp}/removed"; exit 1 ;;
esac
"""


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Return a function that runs a script of Python in that network."""
    engine = tmp_path / "engine"
    engine.write_text(ENGINE.format(tmp=tmp_path, runs=RUNS), encoding="utf-8")
    engine.chmod(0o755)
    arguments = json.dumps([str(engine), str(tmp_path)])

    def run_script(script: str) -> subprocess.CompletedProcess[str]:
        command = [*NETWORK, sys.executable, "-c", START + script, arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    return run_script


def test_a_host_that_reaches_neither_api_server_nor_database_is_cut_off(run: Any) -> None:
    done = run(
        "for pair in ((NO_SERVER, AWAY), (SERVER, AWAY), (NO_SERVER, REFUSED), (NO_SERVER, OTHER)):\n"
        "    print('found', fence(*pair).is_cut_off())"
    )
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("found")]
    assert found == ["True", "False", "False", "False"], done.stderr


@pytest.mark.parametrize(("database", "status"), [("AWAY", -signal.SIGKILL), ("REFUSED", 0)], ids=["cut off", "not"])
def test_a_worker_that_is_cut_off_ends_with_its_containers(
    run: Any, tmp_path: Path, database: str, status: int
) -> None:
    done = run(f"fence(NO_SERVER, {database}).watch()\ntime.sleep(4)")
    assert done.returncode == status, done.stderr
    assert ("cut off from its site for 1 s" in done.stdout + done.stderr) is bool(status)
    removed = tmp_path / "removed"
    assert removed.exists() is bool(status)
    if status:
        assert removed.read_text(encoding="utf-8") == "rm --force step elsewhere\n"


def test_a_worker_that_cannot_look_ends_too(run: Any) -> None:
    done = run("fencing.is_there = None\nfence(NO_SERVER, AWAY).watch()\ntime.sleep(4)")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "It cannot be told whether this host is cut off" in done.stdout + done.stderr
