"""Files whose names have what a file system lets names have, from the job through two steps to the outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from begun import begin, shell
from cwl_airflow.dags.failures import error_text, last_line
from cwl_airflow.documents.plan import DISPATCHER
from cwl_airflow.runs.cwl_json import read_cwl_json
from cwl_airflow.runs.executor import StepExecutor
from cwl_airflow.runs.outputs import collect_outputs
from cwl_airflow.runs.steps import run_step
from cwltool.command_line_tool import CommandLineTool
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
    "baseCommand": ["cp", "--"],
    "arguments": ["$(inputs.file.path)", "."],
    "inputs": {"file": "File"},
    "outputs": {"copy": {"type": "File", "outputBinding": {"glob": "*"}}},
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


@pytest.mark.parametrize("name", [name for name in NAMES if "/" not in name])
def test_an_output_is_called_like_an_input(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text", encoding="utf-8")
    tool = {
        **COPY,
        "baseCommand": "cat",
        "arguments": ["$(inputs.file.path)"],
        "stdout": "$(inputs.file.basename).copy",
        "outputs": {"copy": "stdout"},
    }
    run = begin(tmp_path, tool, {"file": {"class": "File", "path": name}})
    assert run_step(run, None, "tool", StepExecutor(1, 1024)) == "success"
    collect_outputs(run, tmp_path / "outputs")
    assert (tmp_path / "outputs" / f"{name}.copy").read_text(encoding="utf-8") == "text"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pattern", [".idx", "^.idx"])
def test_secondary_files_are_those_beside_the_file(tmp_path: Path, name: str, pattern: str) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (inputs / name).write_text("text", encoding="utf-8")
    beside = (name.rpartition(".")[0] if pattern == "^.idx" else name) + ".idx"
    (inputs / beside).write_text("right", encoding="utf-8")
    for wrong in {unquote(name), name.partition("#")[0], name.partition("?")[0]} - {name, ""}:
        (inputs / wrong).write_text("wrong", encoding="utf-8")
        (inputs / f"{wrong}.idx").write_text("wrong", encoding="utf-8")
    workflow = {**TWICE, "inputs": {"file": {"type": "File", "secondaryFiles": [pattern]}}}
    run = begin(tmp_path, workflow, {"file": {"class": "File", "path": str(inputs / name)}})
    found = read_cwl_json(run.layout.inputs)["file"].get("secondaryFiles", [])
    paths = [Path(unquote(urlsplit(each["location"]).path)) for each in found]
    assert paths == [inputs / beside]
    assert [each["basename"] for each in found] == [path.name for path in paths]


@pytest.mark.parametrize("name", ["a#b.txt", "a%20b.txt", "a b.txt"])
def test_a_secondary_file_need_not_be_there(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text", encoding="utf-8")
    workflow = {**TWICE, "inputs": {"file": {"type": "File", "secondaryFiles": [".idx?"]}}}
    run = begin(tmp_path, workflow, {"file": {"class": "File", "path": name}})
    assert not read_cwl_json(run.layout.inputs)["file"].get("secondaryFiles")


@pytest.mark.parametrize("pattern", [".idx", ".idx?"])
@pytest.mark.parametrize("document", [COPY, TWICE])
def test_another_file_is_not_mistaken_for_a_secondary_one(
    tmp_path: Path, document: dict[str, Any], pattern: str
) -> None:
    for name in ("a%20b.txt", "a b.txt", "a b.txt.idx"):
        (tmp_path / name).write_text("wrong", encoding="utf-8")
    given = {**document, "inputs": {"file": {"type": "File", "secondaryFiles": [pattern]}}}
    with pytest.raises(ValueError, match=r"'a%20b\.txt\.idx' is not there, and must not be mistaken"):
        begin(tmp_path, given, {"file": {"class": "File", "path": "a%20b.txt"}})


def test_an_expression_finds_no_secondary_files_of_an_odd_name(tmp_path: Path) -> None:
    (tmp_path / "a#b.txt").write_text("text", encoding="utf-8")
    tool = {
        **COPY,
        "requirements": {"InlineJavascriptRequirement": {}},
        "inputs": {"file": {"type": "File", "secondaryFiles": ["$(self.basename + '.idx')"]}},
    }
    with pytest.raises(ValueError, match=r"no expression finds secondaryFiles of 'a#b\.txt'"):
        begin(tmp_path, tool, {"file": {"class": "File", "path": "a#b.txt"}})


@pytest.mark.parametrize("name", ["12:30.log", "file:x", "_:x", "$(x).txt", "${x}", " blank.txt", "-"])
def test_a_path_is_no_url(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text", encoding="utf-8")
    run = begin(tmp_path, COPY, {"file": {"class": "File", "path": name}})
    assert run_step(run, None, "tool", StepExecutor(1, 1024)) == "success"


PARAMETER = "$(inputs.file.path)"


@pytest.mark.parametrize(
    ("tool", "mode"),
    [
        ({}, "RELAXED"),
        ({"arguments": [{"valueFrom": PARAMETER, "prefix": "--in="}]}, "RELAXED"),
        ({"inputs": {"file": {"type": "File", "inputBinding": {"valueFrom": "$(self.path)"}}}}, "RELAXED"),
        ({"stdout": "$(inputs.file.nameroot).txt"}, "RELAXED"),
        ({"requirements": {"InitialWorkDirRequirement": {"listing": ["$(inputs.file)"]}}}, "RELAXED"),
        ({"requirements": {"ShellCommandRequirement": {}}}, "STRICT"),
        ({"hints": {"ShellCommandRequirement": {}}}, "STRICT"),
        ({"baseCommand": ["bash", "-c"], "arguments": [f"wc {PARAMETER}"]}, "STRICT"),
        ({"baseCommand": ["/usr/bin/env", "bash", "run.sh"]}, "STRICT"),
        ({"baseCommand": [], "arguments": [{"valueFrom": "sh"}, "run.sh"]}, "STRICT"),
        ({"baseCommand": "bash"}, "STRICT"),
        ({"baseCommand": [], "arguments": ["sh", "-c", "wc $0", PARAMETER]}, "STRICT"),
        ({"arguments": [f"--in={PARAMETER}"]}, "STRICT"),
        ({"arguments": [{"valueFrom": "$(inputs.file.path + 'x')"}]}, "STRICT"),
        ({"arguments": ["${return inputs.file.path}"]}, "STRICT"),
        ({"inputs": {"file": {"type": "File", "inputBinding": {"valueFrom": "a $(self.path)"}}}}, "STRICT"),
        ({"requirements": {"EnvVarRequirement": {"envDef": {"FILE": f"a {PARAMETER}"}}}}, "STRICT"),
        (
            {
                "requirements": {
                    "InitialWorkDirRequirement": {"listing": [{"entryname": "run", "entry": f"wc {PARAMETER}"}]}
                }
            },
            "STRICT",
        ),
    ],
)
def test_a_name_is_no_command(tmp_path: Path, tool: dict[str, Any], mode: str) -> None:
    (tmp_path / "plain.txt").write_text("text", encoding="utf-8")
    document = {**COPY, **tool}
    document["requirements"] = {"InlineJavascriptRequirement": {}, **document.get("requirements", {})}
    process = begin(tmp_path, document, {"file": {"class": "File", "path": "plain.txt"}}).load(DISPATCHER)
    assert isinstance(process, CommandLineTool)
    assert process.path_check_mode.name == mode


@pytest.mark.parametrize(("relax", "mode"), [(True, "RELAXED"), (False, "STRICT")])
@pytest.mark.parametrize("tool", [COPY, shell("true")])
def test_the_site_decides(tmp_path: Path, tool: dict[str, Any], relax: bool, mode: str) -> None:
    (tmp_path / "plain.txt").write_text("text", encoding="utf-8")
    job = {"file": {"class": "File", "path": "plain.txt"}} if tool is COPY else {}
    process = begin(tmp_path, tool, job, relax_path_checks=relax).load(DISPATCHER)
    assert isinstance(process, CommandLineTool)
    assert process.path_check_mode.name == mode


def test_a_workflow_may_ask_for_the_shell(tmp_path: Path) -> None:
    literal = {"class": "File", "basename": "a;touch bad;.txt", "contents": "text"}
    document = {**TWICE, "requirements": {"ShellCommandRequirement": {}}}
    run = begin(tmp_path, document, {"file": literal})
    with pytest.raises(WorkflowException, match="illegal characters") as error:
        run_step(run, "once", "once", StepExecutor(1, 1024))
    assert last_line(error.value) == error_text(error.value)
    assert last_line(error.value).endswith(
        "'a;touch bad;.txt' contains illegal characters, with which it could become a command in this tool: rename the "
        "file, or set relax_path_checks"
    )
