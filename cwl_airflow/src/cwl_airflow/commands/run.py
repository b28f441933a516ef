"""Run one CWL document on this host, as other CWL runners do: through Airflow's REST API, as any run.

Exit codes are those that CWL's conformance tests know: 0 success, 1 failure, 33 a feature is not supported.
Source: https://github.com/common-workflow-language/cwltest
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import requests

from ..documents.plan import OUTPUTS_REPORT, STATISTICS
from ..files import replace
from ..gate import Places, Refused
from ..gate.job import check_job
from .check import optional_setting, setting

UNSUPPORTED = 33
DAG = """\
from cwl_airflow.extensions.cwldag import CWLDAG

dag = CWLDAG(dag_id={dag_id!r}, workflow={workflow!r}, is_paused_upon_creation=False)
"""


class Failed(Exception):
    """The document did not run; the message says why."""


class Airflow:
    """Airflow's REST API."""

    def __init__(self, url: str, user: str, password: str) -> None:
        """Note where it is and who asks."""
        self._url = f"{url}/api/v1"
        self._session = requests.Session()
        self._session.auth = (user, password)

    def ask(self, method: str, path: str, missing: bool = False, **arguments: Any) -> Any:
        """Return what the API answers; none if it does not know what was asked for and may not."""
        for wait in (1, 2, 4, 8, None):
            try:
                answer = self._session.request(method, f"{self._url}/{path}", timeout=60, **arguments)
                if answer.status_code < 500 or wait is None:
                    break
            except requests.RequestException:
                if wait is None:
                    raise
            time.sleep(wait or 0)
        if answer.status_code == 404 and missing:
            return None
        if not answer.ok:
            raise Failed(f"{method} {answer.url}: {answer.status_code} {answer.text[:500]}")
        return (
            answer.text
            if "text/plain" in answer.headers.get("Content-Type", "")
            else answer.json()
            if answer.text
            else None
        )


def wait_for_dag(airflow: Airflow, dag_id: str, file: Path, deadline: float) -> None:
    """Wait until Airflow has read a DAG file.

    :raises Failed: it cannot be read, or it is too late.
    """
    while not airflow.ask("GET", f"dags/{dag_id}", missing=True):
        errors = airflow.ask("GET", "importErrors", params={"limit": 100, "order_by": "-import_error_id"})
        for error in errors["import_errors"]:
            if error["filename"] == str(file):
                raise Failed(error["stack_trace"])
        if time.monotonic() > deadline:
            raise Failed(f"Airflow did not read {file} in time")
        time.sleep(0.5)


def wait_for_run(airflow: Airflow, dag_id: str, run_id: str, deadline: float) -> None:
    """Wait until a run has ended.

    :raises Failed: it failed, with the end of the log of each failed task; or it is too late.
    """
    run = f"dags/{dag_id}/dagRuns/{run_id}"
    while (state := airflow.ask("GET", run)["state"]) in ("queued", "running"):
        if time.monotonic() > deadline:
            raise Failed("The run took too long and was stopped")
        time.sleep(0.5)
    if state == "success":
        return
    said = []
    for task in airflow.ask("GET", f"{run}/taskInstances")["task_instances"]:
        if task["state"] == "failed":
            path = f"{run}/taskInstances/{task['task_id']}/logs/{max(task['try_number'], 1)}"
            log = airflow.ask("GET", path, params={"map_index": task["map_index"]}, headers={"Accept": "text/plain"})
            said.append(f"{task['task_id']} failed:\n" + "\n".join(str(log).splitlines()[-40:]))
    raise Failed("\n".join(said) or "The run failed")


def absolute(source: str) -> str:
    """Return the absolute form of a path, perhaps with ``#name``; a URL as it is."""
    return source if "://" in source else os.path.abspath(source)


def check(dag_id: str, document: str, job: Any) -> None:
    """Refuse what the run would refuse, as far as can be seen before.

    :raises Refused: names the document or the input, the path, and what would allow it.
    """
    dags = Path(setting("core", "dags_folder"))
    names = ("tmp_folder", "inputs_folder", "outputs_folder", "pickle_folder")
    folders = {"dags_folder": dags, **{name: Path(setting("cwl", name)) for name in names}}
    places = Places.of(dags.parent, folders, lambda name: optional_setting("cwl", name))
    gate = places.gate(dag_id, reads=None)
    if "://" not in document:
        gate.read(document.partition("#")[0], "Document")
    with contextlib.suppress(OSError, ValueError):  # the first task says so
        check_job(job, gate, str(places.inputs), code_allowed=True)


def run(options: argparse.Namespace) -> Any:
    """Run a document and return its outputs."""
    dag_id = f"cwl-run-{uuid.uuid4()}"
    file = Path(setting("core", "dags_folder")) / f"{dag_id}.py"
    deadline = time.monotonic() + options.timeout
    user, _, password = setting("celery", "flower_basic_auth").partition(":")
    airflow = Airflow(options.url, user, os.environ.get("AIRFLOW_PASSWORD", password))
    job: Any = absolute(options.job) if options.job else {}
    check(dag_id, absolute(options.tool), job)
    replace(file, DAG.format(dag_id=dag_id, workflow=absolute(options.tool)))
    file.chmod(0o644)
    try:
        wait_for_dag(airflow, dag_id, file, deadline)
        airflow.ask("POST", f"dags/{dag_id}/dagRuns", json={"dag_run_id": "run", "conf": {"job": job}})
        wait_for_run(airflow, dag_id, "run", deadline)
    except BaseException:
        with contextlib.suppress(Failed, requests.RequestException):
            airflow.ask("PATCH", f"dags/{dag_id}/dagRuns/run", missing=True, json={"state": "failed"})
        raise
    finally:
        file.unlink(missing_ok=True)
        with contextlib.suppress(Failed, requests.RequestException):  # refused while a task ends
            airflow.ask("DELETE", f"dags/{dag_id}", missing=True)
    folder = Path(setting("cwl", "outputs_folder")) / dag_id / "run"
    text = (folder / OUTPUTS_REPORT).read_text(encoding="utf-8")
    if options.outdir:
        shutil.copytree(folder, options.outdir, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(folder.parent)
        outdir = Path(options.outdir).absolute()
        text = text.replace(folder.as_uri(), outdir.as_uri())
        text = text.replace(json.dumps(str(folder))[1:-1], json.dumps(str(outdir))[1:-1])
    outputs = json.loads(text)
    outputs.pop(STATISTICS, None)
    return outputs


def main(argv: list[str] | None = None) -> int:
    """Print the outputs of a document as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", help="path or URL of the document, with #name for one process of several")
    parser.add_argument("job", nargs="?", help="path of the job's file, which the service must be able to read")
    parser.add_argument("--outdir", help="folder for the outputs (default: they stay in the host's outputs folder)")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds (default: 3600)")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="Airflow's web server (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="say nothing of failed tasks")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        print(json.dumps(run(options), indent=2))
    except (Failed, Refused) as error:
        if not options.quiet:
            print(error, file=sys.stderr)
        return UNSUPPORTED if "UnsupportedRequirement" in str(error) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
