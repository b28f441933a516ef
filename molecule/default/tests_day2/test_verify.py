"""What the command that proves a host says of an example that does not give what it must."""

from __future__ import annotations

import json
import shlex

import pytest
from dags import DAGS, tool


@pytest.fixture
def example(dag, host):
    """Return the DAG of an example whose job gives nothing, and that must give a number."""
    folder = f"{DAGS}/{dag.dag_id}"
    expected = shlex.quote(json.dumps({"number": 1}))
    host.check_output(f"mkdir -p {folder}/expected && echo '{{}}' > {folder}/job.yml")
    host.check_output(f"printf %s {expected} > {folder}/expected/outputs.json")
    host.check_output(f"chown -R airflow:cwl-data {folder}")
    try:
        yield dag
    finally:
        host.run(f"rm -r {folder}")


def verify(dag):
    """Prove the host with one example, whose run is one that the fixture removes."""
    return dag.host.run(f"cwl-airflow-verify --run-id run --timeout 120 {dag.dag_id}")


def test_a_task_that_fails_is_named_with_what_it_said_last(example):
    example.write(tool("echo this is why >&2; exit 3"))
    done = verify(example)
    lines = done.stderr.splitlines()
    assert done.rc == 1
    assert lines[0].startswith(f"{example.dag_id} failed (run run). Task ")
    assert "this is why" in lines
    assert len(lines) <= 10
    assert f"{example.dag_id}: failed, " in done.stdout


def test_an_output_that_is_another_one_is_told(example):
    number = {"number": {"type": "int", "outputBinding": {"outputEval": "$(2)"}}}
    example.write(tool("true", outputs=number, requirements={"InlineJavascriptRequirement": {}}))
    done = verify(example)
    assert done.rc == 1
    assert done.stderr.splitlines() == [
        "The outputs of run run are not the expected ones:",
        f"{example.dag_id}/number: expected: 1 got: 2",
    ]
