"""Airflow's own processes of a task: which of them is the task, and that the other one goes on when it is ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from cwl_airflow.stopping import host_agent
from cwl_airflow.stopping.host_agent import end_run
from cwl_airflow.stopping.model import EndTimes, RunReference
from cwl_airflow.stopping.processes import find_processes, read_title
from cwl_airflow.stopping.stoppable_run import SUPERVISOR_TITLE, StoppableRun
from gates import places
from home import HOME

DAG, RUN = "sleeps", "first"
#: Runs a task as a process of Celery does, which then waits for the next one.
SUPERVISOR = """
import sys, time
from pathlib import Path
from airflow.executors.base_executor import BaseExecutor
from airflow.executors.workloads import ExecuteTask

workload = ExecuteTask.model_validate_json(sys.argv[1])
BaseExecutor.run_workload(workload, server=sys.argv[2])
Path(sys.argv[3]).touch()
time.sleep(1000)
"""
#: What a task reads, and never gets to its end.
DAG_FILE = """# A DAG of Airflow
import time
from pathlib import Path

Path({file!r}).touch()
time.sleep(1000)
"""
_DATE = "2026-01-01T00:00:00Z"
_NONE = dict.fromkeys(("logical_date", "data_interval_start", "data_interval_end", "end_date", "partition_key"))
_STARTED_RUN = {"dag_id": DAG, "run_id": RUN, "run_type": "manual", "state": "running", "consumed_asset_events": []}
#: What the api-server says of a task that may start.
CONTEXT = {"dag_run": {**_STARTED_RUN, **_NONE, "run_after": _DATE, "start_date": _DATE}, "max_tries": 0}


class ApiServer(BaseHTTPRequestHandler):
    """Lets each task start and go on."""

    def do_PATCH(self) -> None:
        """Take what a supervisor says of its task."""
        self.rfile.read(int(self.headers["Content-Length"]))
        content = json.dumps(CONTEXT if self.path.endswith("/run") else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PUT = do_PATCH


@pytest.fixture
def api_server() -> Iterator[str]:
    """Return the address of what stands in for Airflow's api-server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), ApiServer) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def wait_for(found: Callable[[], Any], program: subprocess.Popen[bytes]) -> None:
    """Wait until something is found, unless a program ends."""
    deadline = time.monotonic() + 300
    while not found():
        assert program.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.full
def test_a_task_is_ended_and_its_supervisor_goes_on(
    api_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_agent, "ENGINES", ())
    task, began, went_on = str(uuid.uuid4()), tmp_path / "began", tmp_path / "went_on"
    (HOME / "dags").mkdir(exist_ok=True)
    file = HOME / "dags/sleeps.py"
    file.write_text(DAG_FILE.format(file=str(began)), encoding="utf-8")
    names = {"dag_id": DAG, "task_id": "a", "run_id": RUN, "try_number": 1, "queue": "default"}
    instance = {"id": task, "dag_version_id": str(uuid.uuid4()), "pool_slots": 1, "priority_weight": 1, **names}
    workload = {"ti": instance, "dag_rel_path": file.name, "bundle_info": {"name": "dags-folder"}}
    arguments = [json.dumps({**workload, "token": "", "log_path": None}), api_server, str(went_on)]
    run = StoppableRun.locate(RunReference(DAG, RUN, None, [], [task]), places(tmp_path))
    environment = {**os.environ, "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "1000", "NO_PROXY": "*"}
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR, *arguments], env=environment) as program:
        try:
            wait_for(began.exists, program)
            supervisor = psutil.Process(program.pid)
            assert read_title(supervisor).strip() == f"{SUPERVISOR_TITLE}{task}"
            assert [process.ppid() for process in find_processes(run, set()).tasks] == [program.pid]
            assert end_run(run, "here", EndTimes(grace=200, limit=300)) == []
            wait_for(went_on.exists, program)
            # It has the title of the task that is gone.
            assert read_title(supervisor).strip() == f"{SUPERVISOR_TITLE}{task}"
            assert end_run(run, "here", EndTimes(grace=0, limit=0)) == []
            assert program.poll() is None
        finally:
            program.kill()
            file.unlink()
