"""Measure on a stand-in host what runs leave behind, before and after it is tidied up, for docs/reliability.md.

    python bench/tidying.py cwl-airflow-production

Runs a small workflow of two steps many times, of which some fail, makes what is left of it look a year old, and tidies
up with the site's own rules. Needs a host that nothing else works on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

RUNS, FAILURES = 200, 40
DAG = "bench-tidying"
HOME = "/var/lib/airflow"
#: In which something is left, by what it is called in the table.
FOLDERS = {
    "data between steps (`cwl/tmp`)": f"{HOME}/cwl/tmp/{DAG}",
    "logs of tasks": f"{HOME}/logs/dag_id={DAG}",
    "logs of the DAG processor": f"{HOME}/logs/dag_processor",
    "outputs": f"{HOME}/cwl/outputs/{DAG}",
    "kept documents (`cwl/pickle`)": f"{HOME}/cwl/pickle",
}
#: Two steps without a container; the second fails if it is told to.
DOCUMENT = {
    "cwlVersion": "v1.2",
    "class": "Workflow",
    "inputs": {"status": "int"},
    "outputs": {"text": {"type": "File", "outputSource": "second/text"}},
    "steps": {
        "first": {
            "run": {
                "class": "CommandLineTool",
                "arguments": ["echo", "first"],
                "inputs": {},
                "stdout": "text.txt",
                "outputs": {"text": "stdout"},
            },
            "in": {},
            "out": ["text"],
        },
        "second": {
            "run": {
                "class": "CommandLineTool",
                "arguments": ["sh", "-c", 'cat "$(inputs.text.path)"; exit $(inputs.status)'],
                "inputs": {"text": "File", "status": "int"},
                "stdout": "text.txt",
                "outputs": {"text": "stdout"},
            },
            "in": {"text": "first/text", "status": "status"},
            "out": ["text"],
        },
    },
}
DAG_FILE = f"""from cwl_airflow.extensions.cwldag import CWLDAG
dag = CWLDAG(workflow="{HOME}/dags/{DAG}.cwl", dag_id="{DAG}")
"""
# Runs on the host.
TRIGGER = f"""
import time
from concurrent.futures import ThreadPoolExecutor
from cwl_airflow.configuration import read_administrator
from cwl_airflow.rest import AirflowClient

def client():
    return AirflowClient("http://127.0.0.1:8080", *read_administrator())

airflow = client()
airflow.wait_for_dag("{DAG}", "{HOME}/dags/{DAG}.py", time.monotonic() + 120)
with ThreadPoolExecutor(4) as pool:
    for each in range(4):
        pool.submit(
            lambda first=each, own=client(): [
                own.trigger("{DAG}", f"run-{{number}}", {{"job": {{"status": int(number < {FAILURES})}}}})
                for number in range(first, {RUNS}, 4)
            ]
        )
while sum(airflow.get("dags/{DAG}/dagRuns", state=each)["total_entries"] for each in ("success", "failed")) < {RUNS}:
    time.sleep(2)
"""
# Makes rows look a year older, by the columns with which Airflow and the rules go. No run is at work.
AGE = "; ".join(
    f"UPDATE airflow.{table} SET "  # nosec B608  # names of ours
    + ", ".join(f"{column} = {column} - INTERVAL 1 YEAR" for column in columns)
    for table, columns in {
        "dag_run": ("run_after", "queued_at", "start_date", "end_date", "updated_at"),
        "task_instance": ("start_date", "end_date"),
        "task_instance_history": ("start_date", "end_date"),
        "log": ("dttm",),
        "celery_taskmeta": ("date_done",),
        "xcom": ("timestamp",),
    }.items()
)
TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'airflow' AND table_type = 'BASE TABLE'"


def on_host(host: str, *command: str, given: str | None = None) -> str:
    """Return what a command on the host says; end if it fails."""
    done = subprocess.run(
        ["docker", "exec", "-i", host, *command], input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def sql(host: str, statement: str) -> list[list[str]]:
    """Return the rows that the database answers."""
    lines = on_host(host, "mysql", "--batch", "--skip-column-names", "--execute", statement).splitlines()
    return [line.split("\t") for line in lines]


def measure(host: str) -> dict[str, int]:
    """Return bytes on the disk by folder, and rows by table."""
    found = {}
    for name, folder in FOLDERS.items():
        told = on_host(host, "sh", "-c", f"du --summarize --block-size=1 {folder} 2>/dev/null || echo 0")
        found[name] = int(told.split()[0])
    for (table,) in sql(host, TABLES):
        found[f"`{table}`"] = int(sql(host, f"SELECT COUNT(*) FROM airflow.{table}")[0][0])  # nosec B608  # its own name
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("host", help="container of the stand-in host")
    host = parser.parse_args().host
    on_host(host, "tee", f"{HOME}/dags/{DAG}.cwl", given=json.dumps(DOCUMENT))
    on_host(host, "tee", f"{HOME}/dags/{DAG}.py", given=DAG_FILE)
    on_host(host, "airflow-exec", "/opt/airflow/bin/python", "-", given=TRIGGER)
    before = measure(host)
    sql(host, AGE)
    for folder in (f"{HOME}/logs", f"{HOME}/cwl/tmp", f"{HOME}/cwl/outputs"):
        on_host(host, "find", folder, "-exec", "touch", "--no-dereference", "--date=1 year ago", "{}", "+")
    said = on_host(host, "cwl-airflow-tidy")
    after = measure(host)
    print(f"| what | {RUNS} runs, {FAILURES} of them failed | tidied up |\n| --- | ---: | ---: |")
    for name in before:
        if before[name] != after[name]:
            print(f"| {name} | {before[name]:,} | {after[name]:,} |")
    print(f"\n{said}")


if __name__ == "__main__":
    main()
