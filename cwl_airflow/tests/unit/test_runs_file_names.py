"""Files whose names have what a file system lets names have, from the job through two steps to the outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from begun import begin, shell
from cwl_airflow.documents.plan import DISPATCHER
from cwl_airflow.runs.executor import StepExecutor
from cwl_airflow.runs.outputs import collect_outputs
from cwl_airflow.runs.steps import run_step
from cwltool.command_line_tool import CommandLineTool, PathCheckingMode
from cwltool.errors import WorkflowException

NAMES = (
    "two words.txt",
    "hash#mark.txt",
    "#.txt",
    "percent%20.txt",
    "question?mark.txt",
    "Größe (1) [2]; 'a' & \"b\" $HOME `c` <d> | e.txt",
    "back\\slash.txt",
    "star*.txt",
    "-n.txt",
    "日本.txt",
    "line\nbreak.txt",
)
#: Copies its file under the same name.
COPY: dict[str, Any] = {
    "class": "CommandLineTool",
    "baseCommand": ["sh", "-c", 'mkdir out; cat > "out/$1"; cmp -- "$0" "out/$1"'],
    "arguments": ["$(inputs.file.path)", "$(inputs.file.basename)"],
    "stdin": "$(inputs.file.path)",
    "inputs": {"file": "File"},
    "outputs": {"copy": {"type": "File", "outputBinding": {"glob": "out/*"}}},
}
TWICE: dict[str, Any] = {
    "class": "Workflow",
    "inputs": {"file": "File"},
    "steps": {
        "once": {"run": COPY, "in": {"file": "file"}, "out": ["copy"]},
        "twice": {"run": COPY, "in": {"file": "once/copy"}, "out": ["copy"]},
    },
    "outputs": {"copy": {"type": "File", "outputSource": "twice/copy"}},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("given", ["path", "absolute path", "location", "relative location"])
def test_a_file_goes_through_two_steps(tmp_path: Path, name: str, given: str) -> None:
    file = tmp_path / name
    file.write_text("text", encoding="utf-8")
    said = {
        "path": {"path": name},
        "absolute path": {"path": str(file)},
        "location": {"location": f"file://{quote(str(file))}"},
        "relative location": {"location": quote(name)},
    }[given]
    run = begin(tmp_path, TWICE, {"file": {"class": "File", **said}})
    for step in ("once", "twice"):
        assert run_step(run, step, step, StepExecutor(1, 1024)) == "success"
    collect_outputs(run, tmp_path / "outputs")
    assert (tmp_path / "outputs" / name).read_text(encoding="utf-8") == "text"


@pytest.mark.parametrize(
    ("options", "tool", "mode"),
    [
        ({}, {}, PathCheckingMode.RELAXED),
        ({}, {"requirements": {"ShellCommandRequirement": {}}}, PathCheckingMode.STRICT),
        ({}, {"hints": {"ShellCommandRequirement": {}}}, PathCheckingMode.STRICT),
        ({"relax_path_checks": True}, {"requirements": {"ShellCommandRequirement": {}}}, PathCheckingMode.RELAXED),
        ({"relax_path_checks": False}, {}, PathCheckingMode.STRICT),
    ],
)
def test_a_name_is_no_command(
    tmp_path: Path, options: dict[str, Any], tool: dict[str, Any], mode: PathCheckingMode
) -> None:
    process = begin(tmp_path, shell("true", **tool), **options).load(DISPATCHER)
    assert isinstance(process, CommandLineTool)
    assert process.path_check_mode is mode


def test_a_workflow_may_ask_for_the_shell(tmp_path: Path) -> None:
    file = tmp_path / "a;touch bad;.txt"
    file.write_text("text", encoding="utf-8")
    document = {**TWICE, "requirements": {"ShellCommandRequirement": {}}}
    run = begin(tmp_path, document, {"file": {"class": "File", "path": str(file)}})
    with pytest.raises(WorkflowException, match="illegal characters"):
        run_step(run, "once", "once", StepExecutor(1, 1024))
