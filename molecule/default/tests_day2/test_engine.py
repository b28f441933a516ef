"""How the engine fails, goes on, stops, and spreads jobs over tasks: runs of small documents on the host."""

from __future__ import annotations

import re
import time

import pytest
from dags import IMAGE, TMP, tool, wait_for


def test_a_failed_step_says_why_and_goes_on_when_cleared(dag):
    """The first step's data is there for the second try, which runs nothing else again."""
    needs = "/var/lib/airflow/cwl/inputs/needed"
    second = tool(
        f"seq 30 >&2; cat {needs} || {{ echo 'no luck' >&2; exit 3; }}",
        inputs={"file": "File"},
        stdout="out",
        outputs={"out": {"type": "stdout"}},
    )
    dag.write(
        {
            "class": "Workflow",
            "inputs": {},
            "outputs": {"out": {"type": "File", "outputSource": "second/out"}},
            "steps": {
                "first": {"run": tool("echo a", outputs={"out": {"type": "stdout"}}), "in": {}, "out": ["out"]},
                "second": {"run": second, "in": {"file": "first/out"}, "out": ["out"]},
            },
        }
    )
    dag.trigger({"job": {}})
    assert dag.ended() == "failed"
    log = dag.log("second")
    errors = [line for line in log.splitlines() if "ERROR" in line]
    assert "second failed (exit status 3)" in errors[0]
    shown = log.partition(errors[0])[2].partition("ERROR")[0].splitlines()
    assert shown[1].startswith("sh -c 'seq 30")
    assert "no luck" in shown
    assert re.search(r"StepFailed: second: 'sh -c .*' exit status 3: no luck$", log, re.MULTILINE)
    assert dag.host.check_output(f"ls {TMP}/{dag.dag_id}/run/scratch") == ""

    dag.host.check_output(f"echo b > {needs}")
    try:
        dag.clear("second")
        assert dag.ended() == "success"
    finally:
        dag.host.run(f"rm -f {needs}")
    report = dag.report()
    assert dag.host.check_output(f"cat {report['out']['path']}") == "b"
    assert report["cwl-airflow:statistics"]["steps"]["second"]["disk"] == 2
    attempts = dag.host.check_output(f"ls '/var/lib/airflow/logs/dag_id={dag.dag_id}/run_id=run/task_id=first'")
    assert attempts == "attempt=1.log"
    assert not dag.host.file(f"{TMP}/{dag.dag_id}/run").exists


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({}, "The run's configuration has no 'job'. It must be"),
        ({"job": {"wrod": "a"}}, "Input 'wrod' is not one of the workflow's. Did you mean 'word'?"),
        ({"job": {}}, "Input 'word' is missing. The job gives: nothing."),
        (
            {"job": {"word": "a", "file": {"class": "File", "path": "none.txt"}}},
            "Input 'file': /var/lib/airflow/cwl/inputs/none.txt is not there",
        ),
    ],
)
def test_a_job_that_cannot_run_fails_in_the_first_task(dag, conf, message):
    dag.write(tool("true", inputs={"word": "string", "file": "File?"}))
    dag.trigger(conf)
    assert dag.ended() == "failed"
    assert dag.tasks()[("CWLJobDispatcher", "")] == "failed"
    assert message in dag.log("CWLJobDispatcher")


def test_many_jobs_of_a_scattered_step_get_tasks(dag):
    say = tool(
        "echo $0",
        inputs={"word": {"type": "string", "inputBinding": {}}},
        outputs={"out": {"type": "stdout"}},
        hints=IMAGE,
    )
    dag.write(
        {
            "class": "Workflow",
            "requirements": {"ScatterFeatureRequirement": {}},
            "inputs": {"few": "string[]", "many": "string[]"},
            "outputs": {
                "few": {"type": "File[]", "outputSource": "few/out"},
                "many": {"type": "File[]", "outputSource": "many/out"},
            },
            "steps": {
                name: {"run": say, "scatter": "word", "in": {"word": name}, "out": ["out"]} for name in ("few", "many")
            },
        },
        scatter_jobs_in_task=2,
        scatter_tasks=3,
    )
    dag.trigger({"job": {"few": ["a", "b"], "many": list("cdefghi")}})
    assert dag.ended(180) == "success"
    tasks = dag.tasks()
    assert sorted(index for task, index in tasks if task == "many.jobs") in ([0, 1, 2], ["0", "1", "2"])
    assert [state for (task, _), state in tasks.items() if task == "few.jobs"] == ["skipped"]
    report = dag.report()
    files = " ".join(file["path"] for file in report["few"] + report["many"])
    assert dag.host.check_output(f"cat {files}").split() == list("abcdefghi")


@pytest.mark.parametrize("hints", [IMAGE, {}], ids=["container", "process"])
def test_marking_a_run_failed_ends_what_it_runs(dag, hints):
    """Also what ignores every signal that can be ignored."""
    dag.write(tool("trap '' TERM INT HUP; while :; do sleep 7654; done", hints=hints))
    dag.trigger({"job": {}})
    running = "pgrep -f '^sleep 765[4]'"
    wait_for("step", lambda: dag.host.run(running).rc == 0, 60)
    containers = dag.host.check_output("docker ps --quiet")
    assert bool(containers) == bool(hints)
    dag.mark_failed()
    began = time.monotonic()
    wait_for("end of the step", lambda: dag.host.run(running).rc != 0, 20)
    wait_for("end of its container", lambda: dag.host.check_output("docker ps --all --quiet") == "", 10)
    assert time.monotonic() - began < 20


def test_a_step_that_takes_too_long_is_ended_with_its_container(dag):
    dag.write(
        tool("trap '' TERM INT HUP; while :; do sleep 7655; done", hints=IMAGE),
        before="from datetime import timedelta",
        default_args="'execution_timeout': timedelta(seconds=20)",
    )
    dag.trigger({"job": {}})
    wait_for("step", lambda: dag.host.run("pgrep -f '^sleep 765[5]'").rc == 0, 60)
    assert dag.ended() == "failed"
    wait_for("end of its container", lambda: dag.host.check_output("docker ps --all --quiet") == "", 20)
    assert dag.host.run("pgrep -f '^sleep 765[5]'").rc != 0
    assert f"ERROR {dag.dag_id}: took longer than the 0:00:20 of its execution_timeout" in dag.log(dag.dag_id)


def test_a_dispatcher_of_the_users_own_gives_the_job(dag):
    own = """
import json
from pathlib import Path

from airflow.sdk import BaseOperator


class Mine(BaseOperator):
    def execute(self, context):
        folder = Path("/var/lib/airflow/cwl/tmp") / self.dag_id / "run"
        folder.mkdir(parents=True, exist_ok=True)
        job = {
            "word": context["dag_run"].conf["say"],
            "tmp_folder": str(folder),
            "outputs_folder": f"/var/lib/airflow/cwl/outputs/{self.dag_id}/run",
        }
        file = folder / "mine.json"
        file.write_text(json.dumps(job))
        return str(file)
"""
    say = tool(
        "echo $0",
        inputs={"word": {"type": "string", "inputBinding": {}}},
        outputs={"out": {"type": "stdout"}},
    )
    dag.write(say, before=own, arguments="dispatcher=Mine(task_id='mine'),")
    dag.trigger({"say": "hello"})
    assert dag.ended() == "success"
    assert {task for task, _ in dag.tasks()} == {"mine", dag.dag_id, "CWLJobGatherer"}
    assert dag.host.check_output(f"cat {dag.report()['out']['path']}") == "hello"
