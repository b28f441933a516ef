"""The benchmark, as far as it goes without hosts."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.rest import RunFailed

PROJECT = Path(__file__).parents[2]
RECAP = """
ROLES RECAP ********************************************************************
airflow ----------------------------------------------------------------- 4.21s
ansible.builtin.setup --------------------------------------------------- 1.30s
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
total ------------------------------------------------------------------- 5.51s
"""


class Airflow:
    """Airflow's REST API, of which only what was asked is kept."""

    def __init__(self, failure: str = "") -> None:
        """Succeed, unless there is a failure."""
        self.asked: list[Any] = []
        self.failure = failure

    def wait_for_dag(self, dag_id: str, path: str, deadline: float) -> None:
        """Know it."""
        self.asked.append((dag_id, path))

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        """Take the job."""
        self.asked.append((dag_id, conf))

    def wait_for_run(self, dag_id: str, run_id: str, deadline: float) -> None:
        """Succeed, or not."""
        if self.failure:
            raise RunFailed(self.failure)


@pytest.fixture(name="bench")
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the program, with a folder of its own to build in."""
    specification = importlib.util.spec_from_file_location("bench", PROJECT / "bench/host.py")
    assert specification and specification.loader
    program = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(program)
    monkeypatch.setattr(program, "BUILD", tmp_path)
    return program


def test_a_workflow_is_run_with_its_job(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write_workflows()
    airflow = Airflow()
    monkeypatch.setattr(bench, "airflow", lambda: airflow)
    seconds, processor = bench.through_airflow("scatter")
    assert 0 <= seconds < 10 and processor >= 0
    job = {"numbers": list(range(bench.JOBS))}
    assert airflow.asked == [("scatter", "/var/lib/airflow/dags/scatter"), ("scatter", {"job": job})]


def test_a_workflow_that_fails_ends_the_benchmark(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write_workflows()
    monkeypatch.setattr(bench, "airflow", lambda: Airflow("each failed"))
    with pytest.raises(SystemExit, match="scatter: each failed"):
        bench.through_airflow("scatter")


def test_a_chain_has_each_step_wait_for_the_one_before(bench: Any) -> None:
    bench.write_workflows()
    steps = json.loads((bench.BUILD / "chain/chain.cwl").read_text(encoding="utf-8"))["steps"]
    sources = [step["in"]["text"] for step in steps.values()]
    assert sources == ["text", *(f"{name}/copy" for name in list(steps)[:-1])]
    assert len(steps) == bench.STEPS


def test_the_time_of_each_role_is_read(bench: Any) -> None:
    assert bench.role_times(RECAP) == [("airflow", 4.21), ("ansible.builtin.setup", 1.3)]
