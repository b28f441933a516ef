"""How a failure is told: in a line that says why, and in the log with no more than helps."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from begun import begin, shell
from cwl_airflow.dags.failures import error_text, failure_line, is_expected, last_line
from cwl_airflow.dags.task_log import cwltool_in_task_log
from cwl_airflow.runs.executor import JobFailure, StepExecutor
from cwl_airflow.runs.steps import run_step
from cwltool.errors import WorkflowException

JAVASCRIPT = {"InlineJavascriptRequirement": {}}


def raised(folder: Path, document: dict[str, Any]) -> Exception:
    """Return how the only step of a document fails before it has a job."""
    with pytest.raises(WorkflowException) as error:
        run_step(begin(folder, document), None, "tool", StepExecutor(1, 1024))
    return error.value


@pytest.mark.parametrize(
    ("expression", "thrown"),
    [
        ("$(function(){ throw new Error('no {x} here') }())", "Error: no {x} here"),
        ("${ return inputs.a.b.c; }", "TypeError: Cannot read properties of undefined (reading 'b')"),
        ("${\n  throw 'no sample';\n}", "Uncaught no sample"),
    ],
)
def test_of_an_expression_is_told_where_it_is_and_what_it_threw(tmp_path: Path, expression: str, thrown: str) -> None:
    error = raised(tmp_path, {**shell("true", requirements=JAVASCRIPT), "arguments": ["echo", expression]})
    assert is_expected(error)
    assert last_line(error) == f"document.cwl:1:74: {thrown}"
    first, *script = error_text(error).splitlines()
    assert first == last_line(error)
    words = "".join(expression.split()).strip("${}()")
    assert words.removeprefix("function{") in "".join("".join(script).split())
    assert "var inputs" not in error_text(error)


def test_an_error_of_an_expression_is_shown_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with cwltool_in_task_log(quiet=False), caplog.at_level("INFO"):
        raised(tmp_path, {**shell("true", requirements=JAVASCRIPT), "arguments": ["echo", "$(none.such)"]})
        logging.getLogger("cwl_utils").info("said by JavaScript")
    assert "said by JavaScript" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("a.cwl:3:1: Missing 'a': in {b} of c", "Missing 'a': in {b} of c"),
        ("a.cwl:3:1: Invalid job:\n{\n    'a': 1\n}", "Invalid job:"),
        ("Error validating output record. wrong\n in {\n    'a': 1\n}", "Error validating output record. wrong"),
    ],
)
def test_of_an_error_of_cwltool_what_it_is_about_is_left_out_and_nothing_else(said: str, line: str) -> None:
    assert last_line(WorkflowException(said)) == line
    assert error_text(WorkflowException(said)) == said


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (JobFailure("a", "sh -c 'a b'", ["out", "no luck"], "exit status 3"), "'sh -c 'a b'' exit status 3: no luck"),
        (JobFailure("a", "true", [], "exit status 3"), "'true' exit status 3"),
        (
            JobFailure("a", "true", ["done"], "Error in 'b': dags/a/a.cwl:1:2: no b", ended_well=True),
            "'true' Error in 'b': a.cwl:1:2: no b",
        ),
    ],
)
def test_a_failure_of_a_tool_is_told_with_its_last_words_if_they_are_why(failure: JobFailure, line: str) -> None:
    assert failure_line(failure) == line
