"""What Airflow loads of this package in each of its processes, and the names that DAG files import."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = (
    "cwl_airflow.extensions.cwldag:CWLDAG",
    "cwl_airflow.extensions.operators.cwljobdispatcher:CWLJobDispatcher",
    "cwl_airflow.extensions.operators.cwlstepoperator:CWLStepOperator",
    "cwl_airflow.extensions.operators.cwljobgatherer:CWLJobGatherer",
    "cwl_airflow.utilities.cwl:collect_reports",
    "cwl_airflow.utilities.cwl:relocate_outputs",
)

#: As Celery tells that a worker begins.
WORKER_BEGINS = (
    "import celery, celery.signals\n"
    "celery.signals.worker_init.send(type('Worker', (), {'app': celery.Celery(), 'hostname': 'worker@host'}))\n"
)


def printed(program: str, **environment: str) -> list[str]:
    """Return the lines that a Python program of its own prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout.splitlines()


@pytest.mark.full
def test_a_process_that_has_not_loaded_airflow_has_our_engine(airflow_home: Path) -> None:
    """As a linter, a test of a DAG file or a notebook imports them: before anything else."""
    program = "import importlib, sys; before = list(sys.meta_path)\n"
    program += f"for name in {NAMES}:\n    module, _, it = name.partition(':')\n"
    program += "    print(getattr(importlib.import_module(module), it).__module__)\n"
    program += "print([finder for finder in sys.meta_path if finder not in before and 'cwl' in repr(finder)])"
    assert printed(program) == [
        "cwl_airflow.dags.dag",
        *["cwl_airflow.dags.operators"] * 3,
        *["cwl_airflow.utilities.cwl"] * 2,
        "[]",
    ]


@pytest.mark.full
@pytest.mark.parametrize(("host", "found"), [("127.0.0.1", "127.0.0.1"), ("", "none")])
def test_the_logs_of_a_worker_are_served_where_it_is_said(airflow_home: Path, host: str, found: str) -> None:
    program = f"import airflow, celery.signals, multiprocessing, psutil, time\n{WORKER_BEGINS}"
    program += "servers = multiprocessing.active_children()\nlisten = [] if servers else ['none']\n"
    program += "while not listen:\n    time.sleep(0.1)\n    opened = psutil.Process(servers[0].pid).net_connections()\n"
    program += "    listen = [each.laddr.ip for each in opened if each.status == 'LISTEN']\nprint(*listen)"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = str(closed.getsockname()[1])
    options = {"WORKER_LOG_SERVER_HOST": host, "WORKER_LOG_SERVER_PORT": port}
    assert printed(program, **{f"AIRFLOW__LOGGING__{name}": value for name, value in options.items()})[-1] == found


@pytest.mark.full
def test_a_worker_loads_the_engine_once_and_can_be_asked_to_stop_runs(airflow_home: Path) -> None:
    program = "import airflow, celery.signals, celery.worker.control, sys\n"
    program += "print('cwl_stop' in celery.worker.control.Panel.data)\n"
    program += f"print('cwltool.main' in sys.modules)\n{WORKER_BEGINS}"
    program += "print('cwl_airflow.runs.executor' in sys.modules)"
    assert printed(program) == ["True", "False", "True"]


@pytest.mark.full
def test_a_worker_shows_its_memory_and_environment_to_nobody(airflow_home: Path) -> None:
    program = "import airflow, ctypes\nprint(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
    program += "import airflow.providers.celery.cli.celery_command\nprint(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    assert printed(program) == ["1", "0"]


@pytest.mark.full
def test_the_dag_processor_loads_the_engine_before_it_starts(airflow_home: Path) -> None:
    """As it imports what no other service does."""
    services = ("scheduler", "api_server", "triggerer")
    program = "import airflow, sys\nfrom airflow.cli.commands import " + ", ".join(
        f"{name}_command" for name in services
    )
    program += "\nimport airflow.providers.celery.cli.celery_command\n"
    program += "print('cwl_airflow.runs.executor' in sys.modules)\n"
    program += "from airflow.cli.commands import dag_processor_command\n"
    program += "print('cwl_airflow.runs.executor' in sys.modules)"
    assert printed(program)[-2:] == ["False", "True"]


@pytest.mark.full
def test_the_end_of_a_task_is_seen_at_once(airflow_home: Path) -> None:
    """Though it closes its sockets before it is gone."""
    program = "import airflow, os, time, uuid\nfrom airflow.sdk.execution_time.supervisor import WatchedSubprocess\n"
    program += "def task():\n    os.closerange(0, 100)\n    time.sleep(0.5)\n    os._exit(0)\n"
    program += "began = time.monotonic()\nwatched = WatchedSubprocess.start(id=uuid.uuid4(), target=task)\n"
    program += "while watched._service_subprocess(max_wait_time=60) is None:\n    pass\n"
    program += "print(0.4 < time.monotonic() - began < 50)"
    assert printed(program)[-1] == "True"


@pytest.mark.full
def test_a_run_is_due_in_the_second_in_which_it_is_made(airflow_home: Path) -> None:
    program = "import airflow, datetime\nfrom airflow.models import DagRun\n"
    program += "due = datetime.datetime(2026, 11, 28, 8, 0, 7, 654321, tzinfo=datetime.timezone.utc)\n"
    program += "print(DagRun(run_after=due).run_after.isoformat())\nprint(DagRun().run_after)"
    assert printed(program) == ["2026-11-28T08:00:07+00:00", "None"]
