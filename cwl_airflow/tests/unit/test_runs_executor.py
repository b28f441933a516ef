"""The jobs of a step: what is told of those that fail, what they write, how they are waited for."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from begun import begin, scattered, shell
from cwl_airflow.gate import Refused
from cwl_airflow.gate.hooks import Context
from cwl_airflow.runs import executor
from cwl_airflow.runs.executor import JobFailure, StepExecutor
from cwl_airflow.runs.steps import run_step
from cwltool.errors import WorkflowException
from gates import open_gate

CAUGHT = {"stderr": "log.txt", "outputs": {"log": {"type": "stderr"}}}


def failure_of(folder: Path, document: dict[str, Any]) -> JobFailure:
    """Return how the only job of a document failed."""
    jobs = StepExecutor(1, 1024)
    with pytest.raises(WorkflowException, match=r"^ended with permanentFail: see above, or clear the steps before it$"):
        run_step(begin(folder, document), None, "tool", jobs)
    (failure,) = jobs.failures
    return failure


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (shell("exit 3"), "exit status 3"),
        (shell("kill -KILL $$"), "terminated by signal: SIGKILL"),
        (shell("exit 3", outputs={"out": {"type": "File", "outputBinding": {"glob": "none"}}}), "exit status 3"),
        ({**shell(""), "arguments": ["no-such-program"]}, "cannot be run: there is no program 'no-such-program'"),
        ({**shell(""), "arguments": ["/dev/null"]}, "cannot be run: [Errno 13] Permission denied: '/dev/null'"),
        (
            shell("exec sleep 60", requirements={"ToolTimeLimit": {"timelimit": 1}}),
            "took longer than the 1 s that its document gives it (ToolTimeLimit)",
        ),
    ],
)
def test_the_reason_of_a_failure_is_told_in_a_line(tmp_path: Path, document: dict[str, Any], reason: str) -> None:
    failure = failure_of(tmp_path, document)
    assert failure.reason == reason
    assert failure.name.startswith("document.cwl")
    assert failure.command.split()[0] == document["arguments"][0]


def test_what_a_tool_gave_is_not_shown_with_what_is_wrong_with_it(tmp_path: Path) -> None:
    outputs = {"number": {"type": "int", "outputBinding": {"glob": "a", "outputEval": "$('text')"}}}
    requirements = {"InlineJavascriptRequirement": {}}
    failure = failure_of(tmp_path, shell("true", outputs=outputs, requirements=requirements))
    assert failure.reason.endswith("'text'\" is not int")


def expression(script: str) -> dict[str, Any]:
    """Return a document that is an expression."""
    requirements = {"InlineJavascriptRequirement": {}}
    return {"class": "ExpressionTool", "requirements": requirements, "inputs": {}, "outputs": {}, "expression": script}


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("${ throw new TypeError('bad word'); }", ["TypeError: bad word"]),
        ("${ return none.such; }", ["ReferenceError: none is not defined"]),
        ("${ throw 'no sample'; }", ["Uncaught no sample"]),
    ],
)
def test_the_error_of_an_expression_is_told(tmp_path: Path, script: str, lines: list[str]) -> None:
    failure = failure_of(tmp_path, expression(script))
    assert failure == JobFailure("expression", script, lines, "could not be evaluated")


@pytest.mark.parametrize("document", [expression("${ return {}; }"), shell("true")])
def test_a_job_that_succeeds_is_no_failure(tmp_path: Path, document: dict[str, Any]) -> None:
    jobs = StepExecutor(1, 1024)
    assert run_step(begin(tmp_path, document), None, "tool", jobs) == "success"
    assert not jobs.failures


@pytest.mark.parametrize("script", ["${ throw 'no error of JavaScript'; }", "${ return {"])
def test_something_is_told_of_whatever_is_wrong_with_an_expression(tmp_path: Path, script: str) -> None:
    (line,) = failure_of(tmp_path, expression(script)).lines
    assert line not in ("", "Expression evaluation error:")


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("seq 30 >&2", [str(number) for number in range(11, 31)]),
        ("echo out; echo caught >&2", ["out", "caught"]),
        (r"printf 'a\377b \n' >&2", ["a\ufffdb"]),
        ("rm log.txt", []),
        ("rm log.txt; mkdir log.txt", []),
        ("echo out; ln -sf /etc/hostname log.txt", ["out"]),
        (r"printf 'a\377b  \n'", ["a\ufffdb"]),
        ("head -c 3000 /dev/zero | tr '\\0' x", ["x" * 2000]),
    ],
)
def test_the_last_lines_of_a_tool_that_fails_are_shown(tmp_path: Path, script: str, lines: list[str]) -> None:
    assert failure_of(tmp_path, shell(f"{script}; exit 1", **CAUGHT)).lines == lines


def test_the_log_has_the_first_lines_of_a_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(executor, "LOGGED_LINES", 3)
    handlers = list(logging.getLogger("cwltool").handlers)
    with caplog.at_level(logging.INFO, logger="cwltool"):
        run_step(begin(tmp_path, {**shell("seq 5; echo a% >&2"), "id": "mine"}), None, "tool", StepExecutor(1, 1024))
    said = [record.getMessage().rpartition("] ") for record in caplog.records if record.filename == "executor.py"]
    assert [line for _, _, line in said] == ["1", "2", "3"]
    assert all(name.startswith("[mine") for name, _, _ in said)
    assert logging.getLogger("cwltool").handlers == handlers


@pytest.mark.full
def test_a_process_that_a_tool_leaves_holds_nothing_up(tmp_path: Path) -> None:
    run = begin(tmp_path, shell(f"(echo $$ > {tmp_path}/pid; exec sleep 600) & echo said"))
    began = time.monotonic()
    run_step(run, None, "tool", StepExecutor(1, 1024))
    assert time.monotonic() - began < 300
    run.stop()
    assert subprocess.run(["pgrep", "--parent", str(os.getpid()), "sleep"], check=False).returncode == 1


def test_whatever_goes_wrong_in_a_job_ends_the_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    staged = {"InitialWorkDirRequirement": {"listing": [{"entryname": "out.txt", "entry": "x"}]}}
    document = {**shell("true", stdout="out.txt", requirements=staged), "id": "mine"}
    with pytest.raises(Refused, match=r"^stdout: 'out\.txt' is also"):
        run_step(begin(tmp_path, document), None, "tool", StepExecutor(1, 1024))
    assert not [record for record in caplog.records if record.exc_info]  # it says itself what is wrong


@pytest.mark.parametrize(("on_error", "ran"), [("stop", "a"), ("continue", "abc")])
def test_jobs_after_a_failure(tmp_path: Path, on_error: str, ran: str) -> None:
    document = scattered("dotproduct", word="")
    document["steps"]["say"]["run"]["baseCommand"] = ["sh", "-c", f'printf "$0" >> {tmp_path}/ran; exit 1']
    run = begin(tmp_path, document, {"word": list("abc")}, on_error=on_error)
    jobs = StepExecutor(1, 1024)
    with pytest.raises(WorkflowException):
        run_step(run, "say", "say", jobs)
    assert sorted((tmp_path / "ran").read_text(encoding="utf-8")) == list(ran)
    assert len(jobs.failures) == len(ran)


def test_an_executor_is_for_cwltool_to_call(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^The executor was not called by cwltool\.$"):
        StepExecutor(1, 1024).run_jobs(None, {}, logging.getLogger(), Context({}, open_gate(tmp_path)))  # type: ignore[arg-type]
