"""A run begins: its job is taken as cwltool takes it, or refused in words that name what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from begun import SAY, run_of, shell
from cwl_airflow.gate import Refused
from cwl_airflow.runs.cwl_json import read_cwl_json
from cwl_airflow.runs.executor import StepExecutor
from cwl_airflow.runs.inputs import begin_run
from cwl_airflow.runs.steps import run_step

READ = {**SAY, "inputs": {"file": "File"}}
#: Has a step, so that its inputs are those of a workflow.
FLOW = {
    "class": "Workflow",
    "inputs": {
        "file": {"type": "File?", "secondaryFiles": [{"pattern": ".bai"}]},
        "word": {"type": "string", "default": "hello"},
        "number": {"type": "float", "default": 0.5},
    },
    "outputs": {"said": {"type": "File", "outputSource": "say/said"}},
    "steps": {"say": {"run": SAY, "in": {"word": "word"}, "out": ["said"]}},
}


def test_inputs_are_kept_and_returned_with_what_the_document_adds(tmp_path: Path) -> None:
    for name in ("a.bam", "a.bam.bai"):
        (tmp_path / name).touch()
    run = run_of(tmp_path, FLOW)
    job = {
        "file": {"class": "File", "path": "a.bam", "format": None},
        "number": 1.5,
        "tmp_folder": str(tmp_path / "x"),
        "outputs_folder": str(tmp_path / "y"),
        "cwl:tool": "document.cwl",
    }
    inputs = begin_run(run, job, str(tmp_path))
    assert inputs == read_cwl_json(run.layout.inputs)
    assert sorted(inputs) == ["file", "number", "word"]
    assert (inputs["word"], inputs["number"]) == ("hello", 1.5)
    assert inputs["file"]["location"] == (tmp_path / "a.bam").as_uri()
    assert [each["location"] for each in inputs["file"]["secondaryFiles"]] == [(tmp_path / "a.bam.bai").as_uri()]
    assert not run.layout.overrides.exists()
    assert job["file"]["path"] == "a.bam"  # the caller's own stays as it was


def test_a_missing_secondary_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.bam").touch()
    with pytest.raises(Exception, match=r"a\.bam\.bai"):
        begin_run(run_of(tmp_path, FLOW), {"file": {"class": "File", "path": "a.bam"}}, str(tmp_path))


@pytest.mark.parametrize("form", ["{name}", "{folder}/{name}", "file://{folder}/{name}"])
def test_a_job_in_a_file_refers_to_what_is_beside_it(tmp_path: Path, form: str) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/a.txt").touch()
    (tmp_path / "jobs/job.json").write_text(json.dumps({"file": {"class": "File", "path": "a.txt"}}), encoding="utf-8")
    given = form.format(folder=tmp_path / "jobs", name="job.json")
    inputs = begin_run(run_of(tmp_path, READ), given, str(tmp_path / "jobs"))
    assert inputs["file"]["location"] == (tmp_path / "jobs/a.txt").as_uri()


@pytest.mark.parametrize(
    ("job", "error", "message"),
    [
        ("missing.yml", FileNotFoundError, "The job's file {}/missing.yml is not there."),
        (5, ValueError, "'job' must be an object or the path of a file, not 5."),
        ("numbers.yml", ValueError, "The job gives 5, which is no name of an input: put it in quotes."),
        ({"word": "a", 5: "b"}, ValueError, "The job gives 5, which is no name of an input: put it in quotes."),
        ({"word": {"a": 1, 5: 2}}, ValueError, "Input 'word' has the key 5, which is no text: put it in quotes."),
        ({"word": [{"a": {None: 1}}]}, ValueError, "Input 'word' has the key None, which is no text: put it in"),
        ("list.yml", ValueError, "The job must be an object with the inputs by name."),
        ({"words": "a"}, ValueError, "Input 'words' is not one of the workflow's. Did you mean 'word'?"),
        ({"word": "a", "cwl:requirements": []}, Refused, "'cwl:requirements' in a job changes the document"),
        ({"word": {"class": "File", "path": "/etc/passwd"}}, Refused, "Input 'word': /etc/passwd may not be read"),
    ],
)
def test_what_is_wrong_with_a_job_is_told(tmp_path: Path, job: Any, error: type[Exception], message: str) -> None:
    (tmp_path / "list.yml").write_text("[word]", encoding="utf-8")
    (tmp_path / "numbers.yml").write_text("word: a\n5: b", encoding="utf-8")
    run = run_of(tmp_path, SAY)
    with pytest.raises(error) as raised:
        begin_run(run, job, str(tmp_path))
    assert str(raised.value).startswith(message.format(tmp_path))
    assert not run.layout.inputs.exists()


def test_a_job_that_is_in_itself_is_told(tmp_path: Path) -> None:
    job: dict[str, Any] = {"word": "a"}
    job["rest"] = [job]
    with pytest.raises(ValueError, match=r"^The job is empty, nested too deep, or in itself \(RecursionError\)\.$"):
        begin_run(run_of(tmp_path, SAY), job, str(tmp_path))


def test_files_that_the_document_gives_are_checked(tmp_path: Path) -> None:
    document = shell("true", inputs={"file": {"type": "File", "default": {"class": "File", "location": "none.txt"}}})
    with pytest.raises(FileNotFoundError, match=rf"^Input 'file': {tmp_path}/none\.txt is not there"):
        begin_run(run_of(tmp_path, document), {}, str(tmp_path))


def test_overrides_are_kept_apart_from_the_inputs(tmp_path: Path) -> None:
    run = run_of(tmp_path, SAY)
    requirement = {"EnvVarRequirement": {"envDef": {"WORD": "over"}}}
    job = {"word": "a", "cwltool:overrides": {"document.cwl": {"requirements": requirement}}}
    assert begin_run(run, job, str(tmp_path), code_allowed=True) == {"word": "a"}
    (override,) = read_cwl_json(run.layout.overrides)
    assert override["overrideTarget"] == (tmp_path / "document.cwl").as_uri()


def test_requirements_of_a_job_reach_a_tool(tmp_path: Path) -> None:
    run = run_of(tmp_path, shell("echo $WORD > said.txt"))
    requirement = {"class": "EnvVarRequirement", "envDef": [{"envName": "WORD", "envValue": "of the job"}]}
    begin_run(run, {"cwl:requirements": [requirement]}, str(tmp_path), code_allowed=True)
    run_step(run, None, "say", StepExecutor(1, 1024))
    (said,) = run.layout.outputs("step-say").glob("*/said.txt")
    assert said.read_text(encoding="utf-8") == "of the job\n"


def test_requirements_of_a_job_reach_the_steps_of_a_workflow(tmp_path: Path) -> None:
    steps = {"say": {"run": SAY, "in": {"word": "word"}, "out": ["said"], "when": "$(inputs.word.length > 9)"}}
    run = run_of(tmp_path, {**FLOW, "steps": steps})
    begin_run(run, {"cwl:requirements": [{"class": "InlineJavascriptRequirement"}]}, str(tmp_path), code_allowed=True)
    assert run_step(run, "say", "say", StepExecutor(1, 1024)) == "skipped"
