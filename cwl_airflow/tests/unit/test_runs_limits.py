"""What containers may take of what a queue grants."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from begun import begin, scattered, shell
from cwl_airflow.runs import executor
from cwl_airflow.runs.executor import StepExecutor
from cwl_airflow.runs.limits import Resources, limit_container, runs_one_job
from cwl_airflow.runs.steps import run_step
from cwltool.docker import DockerCommandLineJob, PodmanCommandLineJob

GRANTED = Resources(8, 32000)


@pytest.mark.parametrize(
    ("need", "alone", "share"),
    [
        (Resources(2, 4000), True, GRANTED),
        (Resources(16, 4000), True, Resources(16, 32000)),  # it runs all the same, alone
        (Resources(2, 4000), False, Resources(2, 8000)),
        (Resources(1, 10000), False, Resources(8 / 3, 32000 / 3)),
        (Resources(16, 64000), False, Resources(16, 64000)),
        (Resources(0, 0), False, Resources(1, 4000)),
    ],
)
def test_a_job_gets_as_much_as_those_beside_it(need: Resources, alone: bool, share: Resources) -> None:
    assert GRANTED.share(need, alone) == share


def test_what_scattered_jobs_get_together_is_what_is_granted() -> None:
    need = Resources(1, 5000)
    assert GRANTED.share(need, False).ram * (32000 // 5000) == pytest.approx(GRANTED.ram)


def job(kind: Any) -> Any:
    """Return a job of cwltool's as far as its limits go."""
    made = object.__new__(kind)
    made.docker_exec = "podman" if kind is PodmanCommandLineJob else "docker"
    made.create_runtime = lambda env, context: (["docker", "run", env], "cidfile")
    return made


def test_docker_starts_a_container_with_its_limits() -> None:
    made = job(DockerCommandLineJob)
    assert limit_container(made, Resources(0.5, 1023.2))
    assert made.create_runtime("-i", None) == (["docker", "run", "-i", "--memory=1024m", "--cpus=0.5"], "cidfile")


def test_it_asks_for_no_more_cores_than_there_are() -> None:
    made = job(DockerCommandLineJob)
    limit_container(made, Resources(10_000, 1))
    assert made.create_runtime("-i", None)[0][-1] == f"--cpus={os.cpu_count()}"


@pytest.mark.parametrize("made", [job(PodmanCommandLineJob), object()])
def test_others_know_no_limits(made: Any) -> None:
    assert not limit_container(made, GRANTED)


@pytest.mark.parametrize(("limited", "asked"), [(True, 1), (False, 0)])
def test_a_site_may_do_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limited: bool, asked: int) -> None:
    limits: list[Resources] = []
    monkeypatch.setattr(executor, "limit_container", lambda job, each: limits.append(each))
    run_step(begin(tmp_path, shell("true")), None, "tool", StepExecutor(4, 4096, limited))
    assert limits == [Resources(4, 4096)] * asked


def test_scattered_jobs_share_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[Resources] = []
    monkeypatch.setattr(executor, "limit_container", lambda job, each: limits.append(each))
    run = begin(tmp_path, scattered("dotproduct", word="abc"), {"word": ["a", "b", "c"]})
    run_step(run, "say", "say", StepExecutor(4, 4096))
    assert limits == [Resources(1, 1024)] * 3  # four of them fit


def test_a_workflow_in_a_step_may_run_several() -> None:
    class Step:
        """A step, as far as that goes."""

        def __init__(self, process: Any, **tool: Any) -> None:
            self.embedded_tool, self.tool = process, tool

    class Workflow:
        """A workflow, likewise."""

        def __init__(self, *steps: Step) -> None:
            self.steps = steps

    tool = object()
    assert runs_one_job(tool)
    assert runs_one_job(Workflow(Step(Workflow(Step(tool)))))
    assert not runs_one_job(Workflow(Step(tool, scatter="a")))
    assert not runs_one_job(Workflow(Step(tool), Step(tool)))
    assert not runs_one_job(Workflow(Step(Workflow(Step(tool, scatter="a")))))
