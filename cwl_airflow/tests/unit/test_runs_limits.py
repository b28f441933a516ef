"""What containers may take of what a queue grants."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from begun import begin, scattered, shell
from cwl_airflow.runs import executor
from cwl_airflow.runs.cwl_json import read_cwl_json
from cwl_airflow.runs.executor import StepExecutor
from cwl_airflow.runs.limits import Resources, capped_resources, limit_container
from cwl_airflow.runs.steps import run_step
from cwltool.context import RuntimeContext
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
    """Return a job of cwltool's as far as its limits go: with what a document asks for if that is strict."""
    made = object.__new__(kind)
    made.docker_exec = "podman" if kind is PodmanCommandLineJob else "docker"

    def create(env: Any, context: RuntimeContext) -> tuple[list[str], str]:
        strict = [("--memory=300m", context.strict_memory_limit), ("--cpus=1", context.strict_cpu_limit)]
        return ["docker", "run", *(option for option, asked in strict if asked)], "cidfile"

    made.create_runtime = create
    return made


LIMITS = ["--memory=1024m", "--memory-swap=1024m", "--cpus=0.5"]


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({}, LIMITS),
        ({"strict_memory_limit": True}, ["--memory=300m", "--cpus=0.5"]),
        ({"strict_cpu_limit": True}, ["--cpus=1", *LIMITS[:2]]),
        ({"user_space_docker_cmd": "udocker"}, []),
    ],
)
def test_docker_starts_a_container_with_its_limits(options: dict[str, Any], given: list[str]) -> None:
    made, context = job(DockerCommandLineJob), RuntimeContext(options)
    assert limit_container(made, Resources(0.5, 1023.2))
    assert made.create_runtime({}, context) == (["docker", "run", *given], "cidfile")
    assert context.strict_memory_limit == bool(options.get("strict_memory_limit"))


def test_it_asks_for_no_more_cores_than_there_are() -> None:
    made = job(DockerCommandLineJob)
    limit_container(made, Resources(10_000, 1))
    assert made.create_runtime({}, RuntimeContext())[0][-1] == f"--cpus={len(os.sched_getaffinity(0))}"


@pytest.mark.parametrize("made", [job(PodmanCommandLineJob), object()])
def test_others_know_no_limits(made: Any) -> None:
    assert not limit_container(made, GRANTED)


@pytest.mark.parametrize(("limited", "asked"), [(True, 1), (False, 0)])
def test_a_site_may_do_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limited: bool, asked: int) -> None:
    limits: list[Resources] = []
    monkeypatch.setattr(executor, "limit_container", lambda job, each: limits.append(each))
    run_step(begin(tmp_path, shell("true")), None, "tool", StepExecutor(4, 4096, limited))
    assert limits == [Resources(4, 4096)] * asked


def test_a_job_that_asks_for_more_sees_what_is_granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[Resources] = []
    monkeypatch.setattr(executor, "limit_container", lambda job, each: limits.append(each))
    asked = {"ResourceRequirement": {"coresMin": 64, "ramMin": 90000}}
    outputs = {"said": {"type": "string", "outputBinding": {"outputEval": "$(runtime.cores) $(runtime.ram)"}}}
    run = begin(tmp_path, shell("true", requirements=asked, outputs=outputs))
    run_step(run, None, "tool", StepExecutor(4, 4096.5, capped=True))
    assert limits == [Resources(4, 4096.5)]
    assert read_cwl_json(run.layout.step("tool"))["outputs"] == {"said": "4 4096"}


@pytest.mark.parametrize("more", [{}, {"cudaDeviceCountMin": 2}])
def test_what_is_not_capped_is_as_asked_for(more: dict[str, int | float]) -> None:
    request: dict[str, int | float] = {"coresMin": 2, "ramMin": 100.5, "tmpdirMin": 7.5, "outdirMin": 9, **more}
    given = capped_resources(Resources(4, 4096), request, RuntimeContext())
    cuda = {"cudaDeviceCount": 2} if more else {}
    assert given == {"cores": 2, "ram": 101, "tmpdirSize": 8, "outdirSize": 9, **cuda}


def test_scattered_jobs_share_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[Resources] = []
    monkeypatch.setattr(executor, "limit_container", lambda job, each: limits.append(each))
    run = begin(tmp_path, scattered("dotproduct", word="abc"), {"word": ["a", "b", "c"]})
    run_step(run, "say", "say", StepExecutor(4, 4096))
    assert limits == [Resources(1, 1024)] * 3  # four of them fit


def test_a_step_after_another_gets_all_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[Resources] = []
    monkeypatch.setattr(executor, "limit_container", lambda job, each: limits.append(each))
    said = {"said": "stdout"}
    first = {"run": shell("echo a", outputs=said), "in": {}, "out": ["said"]}
    second = {"run": shell("true", inputs={"a": "File"}), "in": {"a": "first/said"}, "out": []}
    run = begin(
        tmp_path, {"class": "Workflow", "inputs": {}, "outputs": {}, "steps": {"first": first, "second": second}}
    )
    for step in ("first", "second"):
        run_step(run, step, step, StepExecutor(4, 4096))
    assert limits == [Resources(4, 4096)] * 2


def test_a_workflow_in_a_step_may_run_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[Resources] = []
    monkeypatch.setattr(executor, "limit_container", lambda job, each: limits.append(each))

    def workflow(number: int) -> dict[str, Any]:
        steps = {f"s{each}": {"run": shell("true"), "in": {}, "out": []} for each in range(number)}
        return {"class": "Workflow", "inputs": {}, "outputs": {}, "steps": steps}

    for number, share in ((1, Resources(4, 4096)), (2, Resources(1, 1024))):
        features: dict[str, Any] = {"requirements": {"SubworkflowFeatureRequirement": {}}, "inputs": {}, "outputs": {}}
        document = {"class": "Workflow", **features, "steps": {"in": {"run": workflow(number), "in": {}, "out": []}}}
        (tmp_path / str(number)).mkdir()
        run_step(begin(tmp_path / str(number), document), "in", "in", StepExecutor(4, 4096))
        assert limits[-1] == share
