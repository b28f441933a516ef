"""What jobs take: exit status, memory, image."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from begun import begin, scattered, shell
from cwl_airflow.containers import ContainerEngine
from cwl_airflow.runs import usage
from cwl_airflow.runs.executor import StepExecutor
from cwl_airflow.runs.outputs import run_statistics
from cwl_airflow.runs.steps import run_scatter_share, run_step, share_out_scatter
from cwl_airflow.runs.usage import JobUsage, container_memory, image_digest, read_usage, summarize_usage, write_usage
from cwltool.errors import WorkflowException


def test_a_run_says_what_its_steps_took(tmp_path: Path) -> None:
    run = begin(tmp_path, shell("exec python3 -c 'import time; text = 30_000_000 * \"a\"; time.sleep(3)'"))
    run_step(run, None, "tool", StepExecutor(1, 1024))
    step = run_statistics(run)["steps"]["tool"]
    assert step["jobs"] == 1
    assert step["exit_codes"] == [0]
    assert step["command"].startswith("sh -c 'exec python3")
    assert 30_000_000 < step["memory"] < 300_000_000
    assert "images" not in step


def test_a_failed_job_says_its_exit_status(tmp_path: Path) -> None:
    run = begin(tmp_path, shell("exit 3"))
    with pytest.raises(WorkflowException):
        run_step(run, None, "tool", StepExecutor(1, 1024))
    found = summarize_usage(run.layout.used("tool"))
    assert (found["exit_codes"], found["failed"]["exit_code"], found["failed"]["lines"]) == ([3], 3, [])


def test_a_failed_job_says_how(tmp_path: Path) -> None:
    script = "seq 30; printf %0999d 1; exit 3"
    run = begin(tmp_path, shell(script))
    with pytest.raises(WorkflowException):
        run_step(run, None, "tool", StepExecutor(1, 1024))
    failed = summarize_usage(run.layout.used("tool"))["failed"]
    assert failed["reason"] == "exit status 3"
    assert failed["command"] == f"sh -c '{script}'"
    assert (failed["lines"][0], len(failed["lines"])) == ("12", 20)
    assert failed["lines"][-1] == "0" * usage.LONGEST_LINE


def test_a_job_that_did_not_fail_does_not_say_how(tmp_path: Path) -> None:
    run = begin(tmp_path, shell("echo a >&2"))
    run_step(run, None, "tool", StepExecutor(1, 1024))
    assert "failed" not in summarize_usage(run.layout.used("tool"))


def test_the_jobs_of_all_tasks_of_a_step_are_counted_once(tmp_path: Path) -> None:
    document = scattered("dotproduct", word="")
    run = begin(tmp_path, document, {"word": list("abcde")})
    for _ in range(2):  # the second time it was cleared
        shares = share_out_scatter(run, "say", "say", 1, 2)
        for share in shares:
            run_scatter_share(run, "say", "say", share, StepExecutor(1, 1024))
        run_step(run, "say", "say", StepExecutor(1, 1024))
    assert run_statistics(run)["steps"]["say"]["jobs"] == 5


def test_a_step_without_jobs_took_nothing(tmp_path: Path) -> None:
    write_usage([], tmp_path / "used" / "step.json")
    assert summarize_usage(tmp_path / "used") == summarize_usage(tmp_path / "none") == {}


def test_jobs_are_summarized(tmp_path: Path) -> None:
    usages = [JobUsage("one", 0, 5, "a:1", "a@sha256:1"), JobUsage("two", 2, 7, "b:1"), JobUsage("three", 0)]
    write_usage(usages[:2], tmp_path / "1.json")
    write_usage(usages[2:], tmp_path / "2.json")
    assert summarize_usage(tmp_path) == {
        "jobs": 3,
        "command": "one",
        "exit_codes": [0, 2],
        "images": {"a:1": "a@sha256:1", "b:1": ""},
        "memory": 7,
    }


@pytest.mark.parametrize(
    "value",
    [5, [5], [{"a": 1}], [{}], [{"command": 5}], [{"command": "a", "memory": "b"}],
     [{"command": "a", "exit_code": "b"}], [{"command": "a", "lines": [5]}], [{"command": "a", "lines": "text"}],
     [{"command": "a", "lines": 5}]],
)  # fmt: skip
def test_what_says_nothing_of_jobs_is_not_taken(value: Any) -> None:
    with pytest.raises(ValueError, match="this says"):
        read_usage(json.dumps(value).encode())


@pytest.mark.parametrize("peak", usage.PEAKS)
def test_the_memory_of_a_container_is_what_the_kernel_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peak: str
) -> None:
    monkeypatch.setattr(usage, "CGROUPS", tmp_path / "cgroups")
    cidfile = tmp_path / "cid"
    assert container_memory("docker", cidfile) is None  # it does not run yet
    cidfile.write_text("abc\n", encoding="ascii")
    assert container_memory("docker", cidfile) is None  # or not any more, or elsewhere
    file = tmp_path / "cgroups" / peak.format(engine="docker", container="abc")
    file.parent.mkdir(parents=True)
    file.write_text("4096\n", encoding="ascii")
    assert container_memory("docker", cidfile) == 4096


@pytest.mark.parametrize("clean_up", [True, False])
def test_the_note_of_a_container_is_removed_where_cwltool_made_it(tmp_path: Path, clean_up: bool) -> None:
    job: Any = SimpleNamespace(name="a", builder=SimpleNamespace(get_requirement=lambda _: (None, None)))
    cidfile = tmp_path / "cid"
    cidfile.touch()
    for _ in range(2):  # it may be gone
        with subprocess.Popen(["true"]) as process:
            JobUsage("a")._wait_for_container(job, str(cidfile), "", clean_up, "docker", process)
        assert cidfile.exists() is not clean_up


def test_an_image_is_named_with_its_digest(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    script = r"""#!/bin/sh
[ "$4" = '{{join .RepoDigests "\n"}}' ] || exit 1
[ "$5" = there ] && echo there@sha256:1 && exit
echo "Error: No such image: $5" >&2
exit 1
"""
    engine.write_text(script, encoding="utf-8")
    engine.chmod(0o755)
    assert image_digest(str(engine), "there") == "there@sha256:1"
    assert image_digest(str(engine), "gone") == ""
    assert image_digest("/no/such/engine", "there") == ""


@pytest.mark.parametrize(
    ("image", "found"),
    [("b/x:1", "b/x@sha256:1"), ("docker.io/b/x", "b/x@sha256:1"), ("localhost:5000/a/x:2", "a/x@sha256:1"),
     ("c/x", "a/x@sha256:1")],
)  # fmt: skip
def test_of_several_names_its_own_is_taken(monkeypatch: pytest.MonkeyPatch, image: str, found: str) -> None:
    image_digest.cache_clear()
    monkeypatch.setattr(ContainerEngine, "image_digests", lambda *_: ["a/x@sha256:1", "b/x@sha256:1"])
    assert image_digest("docker", image) == found
    image_digest.cache_clear()


def test_what_cannot_be_measured_or_kept_fails_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no")

    monkeypatch.setattr(usage, "process_memory", fail)
    monkeypatch.setattr(usage, "write_atomically", fail)
    run = begin(tmp_path, shell("exec sleep 0.2"))
    assert run_step(run, None, "tool", StepExecutor(1, 1024)) == "success"


def test_what_is_kept_is_json(tmp_path: Path) -> None:
    write_usage([JobUsage("a 'ä'", 0)], tmp_path / "used" / "a.json")
    assert json.loads((tmp_path / "used" / "a.json").read_text(encoding="utf-8"))[0]["command"] == "a 'ä'"
