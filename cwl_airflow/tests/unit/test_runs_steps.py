"""A step of a run, or some of its jobs: what it finds of other steps, what it leaves for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from begun import SAY, begin, scattered, shell
from cwl_airflow.documents.plan import DISPATCHER, GATHERER
from cwl_airflow.runs.cwl_json import read_cwl_json, write_cwl_json
from cwl_airflow.runs.executor import StepExecutor
from cwl_airflow.runs.outputs import collect_outputs
from cwl_airflow.runs.step_workflow import StepWorkflow
from cwl_airflow.runs.steps import folder_size, run_scatter_share, run_step, share_out_scatter
from cwltool.context import RuntimeContext
from cwltool.errors import WorkflowException


@pytest.mark.parametrize(
    ("words", "in_task", "tasks", "shares"),
    [
        ("abcde", 4, 3, [[0, 2], [2, 4], [4, 5]]),
        ("abcde", 5, 3, []),
        ("abcde", 0, 1, [[0, 5]]),
        ("", 0, 3, []),
    ],
)
def test_jobs_are_shared_out_in_order(tmp_path: Path, words: str, in_task: int, tasks: int, shares: Any) -> None:
    run = begin(tmp_path, scattered("dotproduct", word=""), {"word": list(words)})
    (run.layout.jobs("say") / "of an earlier try").mkdir(parents=True)
    (run.layout.outputs("jobs-say") / "of an earlier try").mkdir(parents=True)
    write_cwl_json({}, run.layout.step("say"))
    assert share_out_scatter(run, "say", "say", in_task, tasks) == shares
    assert not run.layout.jobs("say").exists()
    assert not run.layout.outputs("jobs-say").exists()
    assert not run.layout.step("say").exists()


def test_lists_of_other_lengths_are_named(tmp_path: Path) -> None:
    run = begin(tmp_path, scattered("dotproduct", word="", other=""), {"word": ["a", "b"], "other": ["c"]})
    with pytest.raises(WorkflowException) as error:
        share_out_scatter(run, "say", "say", 4, 3)
    said = "What is scattered with dotproduct must be lists of one length: 'word' has 2, 'other' has 1."
    assert str(error.value) == said


def test_a_share_keeps_what_its_jobs_gave_for_the_step(tmp_path: Path) -> None:
    document = scattered("dotproduct", word="")
    document["steps"]["say"]["run"]["baseCommand"] = ["sh", "-c", f'echo "$0" | tee -a {tmp_path}/ran']
    run = begin(tmp_path, document, {"word": list("abcde")})
    write_cwl_json({}, run.layout.step("say"))  # of an earlier try
    run_scatter_share(run, "say", "say", [2, 4], StepExecutor(1, 1024))
    done = read_cwl_json(run.layout.jobs("say") / "2.json")
    assert {number: [*job["outputs"].values(), job["status"]] for number, job in done.items()} == {
        "2": ["c\n", "success"],
        "3": ["d\n", "success"],
    }
    assert len(list(run.layout.outputs("jobs-say/2").glob("*/said.txt"))) == 2
    assert not run.layout.step("say").exists()
    assert run_step(run, "say", "say", StepExecutor(1, 1024)) == "success"
    assert (tmp_path / "ran").read_text(encoding="utf-8").split() == list("cdabe")
    report = read_cwl_json(run.layout.step("say"))
    assert report["outputs"] == {"said": [f"{word}\n" for word in "abcde"]}
    assert report["disk"] == 5 * len("a\n")


def test_a_share_that_fails_keeps_nothing(tmp_path: Path) -> None:
    document = scattered("dotproduct", word="")
    document["steps"]["say"]["run"]["baseCommand"] = "false"
    run = begin(tmp_path, document, {"word": list("ab")})
    with pytest.raises(WorkflowException):
        run_scatter_share(run, "say", "say", [0, 1], StepExecutor(1, 1024))
    assert not run.layout.jobs("say").exists()


def test_a_step_that_is_tried_again_has_not_run(tmp_path: Path) -> None:
    run = begin(tmp_path, shell(f"[ ! -e {tmp_path}/wrong ]"))
    run_step(run, None, "tool", StepExecutor(1, 1024))
    (tmp_path / "wrong").touch()
    with pytest.raises(WorkflowException):
        run_step(run, None, "tool", StepExecutor(1, 1024))
    assert run.step_report("tool") is None


CHAIN: dict[str, Any] = {
    "class": "Workflow",
    "requirements": {
        "InlineJavascriptRequirement": {}, "MultipleInputFeatureRequirement": {}, "StepInputExpressionRequirement": {}},
    "inputs": {"word": {"type": "string", "default": "hello"}, "go": "boolean"},
    "outputs": {"last": {"type": "File", "outputSource": "last/said"}},
    "steps": {
        "first": {"run": {**SAY, "outputs": {"text": {"type": "string", "outputBinding": {
            "glob": "said.txt", "loadContents": True, "outputEval": "$(self[0].contents.trim())"}}}},
            "in": {"word": "word", "go": "go"}, "when": "$(inputs.go)", "out": ["text"]},
        "last": {"run": SAY, "in": {
            "word": {"source": ["first/text", "word"], "pickValue": "first_non_null", "valueFrom": "$(self + '!')"}},
            "out": ["said"]},
    },
}  # fmt: skip


@pytest.mark.parametrize(("go", "status", "text"), [(True, "success", "hello"), (False, "skipped", None)])
def test_a_step_may_be_skipped_and_the_next_one_finds_nothing(
    tmp_path: Path, go: bool, status: str, text: str | None
) -> None:
    run = begin(tmp_path, CHAIN, {"go": go})
    assert run_step(run, "first", "first", StepExecutor(1, 1024)) == status
    report = read_cwl_json(run.layout.step("first"))
    assert (report["status"], report["outputs"]) == (status, {"text": text})
    assert run_step(run, "last", "last", StepExecutor(1, 1024)) == "success"
    (said,) = run.layout.outputs("step-last").glob("*/said.txt")
    assert said.read_text(encoding="utf-8") == "hello!\n"
    assert collect_outputs(run, tmp_path / "out")["last"]["basename"] == "said.txt"


def test_a_step_does_not_run_before_the_one_that_it_needs(tmp_path: Path) -> None:
    steps: Any = {**CHAIN["steps"], "last": {"run": SAY, "in": {"word": "first/text"}, "out": ["said"]}}
    run = begin(tmp_path, {**CHAIN, "steps": steps}, {"go": True})
    with pytest.raises(WorkflowException):
        run_step(run, "last", "last", StepExecutor(1, 1024))


def test_what_is_known_of_a_workflow(tmp_path: Path) -> None:
    process = begin(tmp_path, CHAIN, {"go": True}).load(GATHERER)
    assert isinstance(process, StepWorkflow)
    reports = {"last": {"status": "skipped", "outputs": {"said": "a"}}}
    known = process.values({"go": False}, reports.get)
    values = {name.rpartition("#")[2]: item and (item.value, item.success) for name, item in known.items()}
    assert values == {"word": ("hello", "success"), "go": (False, "success"), "last/said": ("a", "skipped")}
    assert None in process.values({}, lambda _: None).values()


@pytest.mark.parametrize(
    ("when", "status"), [("false", "skipped"), ("inputs.one == 'x'", "success"), ("inputs.one == 'y'", "success")]
)
def test_a_step_is_skipped_only_with_all_its_nested_jobs(tmp_path: Path, when: str, status: str) -> None:
    document = scattered("nested_crossproduct", one="", two="")
    document["steps"]["say"]["when"] = f"$({when})"
    document["outputs"] = {}
    run = begin(tmp_path, document, {"one": list("xy"), "two": list("ab")})
    assert run_step(run, "say", "say", StepExecutor(1, 1024)) == status


def test_a_workflow_is_told_which_step_to_run(tmp_path: Path) -> None:
    process = begin(tmp_path, CHAIN, {"go": True}).load(DISPATCHER)
    with pytest.raises(RuntimeError, match=r"^It was not said which step is to run\.$"):
        list(process.job({}, None, RuntimeContext()))


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_text("12345", encoding="utf-8")
    (tmp_path / "file").write_text("123", encoding="utf-8")
    (tmp_path / "link").symlink_to("a/b/file")
    assert folder_size(tmp_path) == 5 + 3 + len("a/b/file")
    assert folder_size(tmp_path / "none") == 0
