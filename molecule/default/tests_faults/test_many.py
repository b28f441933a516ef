"""A thousand jobs of one step: all end, each once, and Airflow answers meanwhile."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from api import AIRFLOW, ask
from dags import TMP, wait_for

JOBS = 1000
WORKFLOW = {
    "class": "Workflow",
    "requirements": {"ScatterFeatureRequirement": {}},
    "inputs": {"numbers": "int[]"},
    "outputs": {"said": {"type": "File[]", "outputSource": "each/said"}},
    "steps": {
        "each": {
            "in": {"number": "numbers"},
            "out": ["said"],
            "scatter": "number",
            "run": {
                "class": "CommandLineTool",
                "requirements": {"ShellCommandRequirement": {}},
                "inputs": {"number": {"type": "int", "inputBinding": {"position": 1}}},
                "arguments": ["sh", "-c", f'echo "$0" >> {TMP}/counted; echo "$0"'],
                "stdout": "said.txt",
                "outputs": {"said": "stdout"},
            },
        }
    },
}


#: For each service, its memory now (PSS, MiB).
MEMORY = """
for unit in scheduler worker webserver; do
  systemd-cgls --no-pager --unit "airflow-$unit" | sed -n 's,^[^0-9]*\\([0-9]\\+\\) .*,/proc/\\1/smaps_rollup,p' |
    xargs cat 2> /dev/null | awk -v unit=$unit '/^Pss:/ {sum += $2} END {print unit, int(sum / 1024)}'
done"""


@pytest.mark.full
def test_a_thousand_jobs_of_one_step_run_once_each(host, dag):
    host.check_output(f"rm -f {TMP}/counted && systemctl restart airflow-worker airflow-scheduler")
    dag.write(WORKFLOW)
    dag.known()
    began = time.monotonic()
    dag.trigger({"job": {"numbers": list(range(JOBS))}})
    answers, memory = [], Counter()

    def ended():
        asked = time.monotonic()
        state = ask(host, "GET", f"{AIRFLOW}/dags/{dag.dag_id}/dagRuns/run")["state"]
        answers.append(time.monotonic() - asked)
        now = (line.split() for line in host.check_output(MEMORY).splitlines())
        memory.update({unit: max(0, int(size) - memory[unit]) for unit, size in now})
        return state in ("success", "failed")

    wait_for("run", ended, 1800)
    took = time.monotonic() - began
    print(f"\n{JOBS} jobs: {took:.0f} s, MiB at most {dict(memory)}, slowest answer {max(answers):.2f} s")
    assert dag.state() == "success"
    counted = Counter(host.check_output(f"cat {TMP}/counted").split())
    assert counted == Counter(str(number) for number in range(JOBS))
    assert len({file["path"] for file in dag.report()["said"]}) == JOBS
    host.check_output(f"rm {TMP}/counted")
