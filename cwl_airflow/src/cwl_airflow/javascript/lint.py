"""Checking the JavaScript of documents by JSHint: what cwltool says, in one request.

cwltool itself sends a request for each expression of each step, and again for a tool that several steps run.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from cwl_utils.errors import JavascriptException, SubstitutionError
from cwl_utils.expression import scanner
from cwl_utils.sandboxjs import code_fragment_to_js, exec_js_process, param_re
from cwltool.errors import WorkflowException
from cwltool.process import Process
from cwltool.validate_js import get_expressions, print_js_hint_messages
from schema_salad.sourceline import SourceLine
from schema_salad.validate import avro_type_name

#: What expressions know.
GLOBALS = ("self", "inputs", "runtime", "console")
#: As cwltool has them: undefined variables, and what is not of ES5.
OPTIONS: Mapping[str, Any] = {"includewarnings": ["W117", "W104", "W119"], "strict": "implied", "esversion": 5}
#: Checks the texts of several processes. A library may use what those before it define, and an expression all of them.
_CHECK = """(function (processes, globals, options) {
  function check(code, known) {
    return validateJS({code: code, globals: known, options: JSON.parse(options)});
  }
  function errors(data) {
    return (data.errors || []).map(function (error) {
      return [error.line, error.character, error.code, error.reason];
    });
  }
  return processes.map(function (process) {
    var known = globals.slice();
    return process.libraries.map(function (code) {
      var data = check(code, known);
      known = known.concat(data.globals || []);
      return errors(data);
    }).concat(process.expressions.map(function (code) { return errors(check(code, known)); }));
  });
})"""


class JavascriptCheck:
    """Collects the JavaScript of processes, each of which may come several times."""

    def __init__(self, options_file: str | None, timeout: float) -> None:
        """Note how to check it.

        :param options_file: path of a JSON file with other options of JSHint.
        :param timeout: how long the check may take, in seconds.
        :raises OSError: the file cannot be read.
        :raises ValueError: it is not JSON.
        """
        self._options = json.loads(Path(options_file).read_text(encoding="utf-8")) if options_file else OPTIONS
        self._timeout = timeout
        self._engine = "docker"
        self._seen: set[str] = set()
        self._requests: list[dict[str, list[str]]] = []
        self._lines: list[list[SourceLine | None]] = []

    def add(self, process: Process) -> None:
        """Collect the JavaScript of a process.

        :raises cwltool.errors.WorkflowException: an expression has no end.
        """
        tool = process.tool
        if tool["id"] in self._seen:
            return
        self._seen.add(tool["id"])
        self._engine = process.container_engine
        for requirement in reversed(tool.get("requirements") or []):
            if requirement["class"] == "InlineJavascriptRequirement":
                break
        else:
            return
        libraries = requirement.get("expressionLib") or []
        expressions = list(_expressions(process))
        self._requests.append({"libraries": list(libraries), "expressions": [code for code, _ in expressions]})
        lines: list[SourceLine | None] = [SourceLine(libraries, number) for number in range(len(libraries))]
        self._lines.append(lines + [line for _, line in expressions])

    def run(self) -> None:
        """Check what was collected, and log what is wrong.

        :raises cwl_utils.errors.JavascriptException: it could not be checked.
        """
        if not any(self._lines):
            return
        arguments = json.dumps([self._requests, GLOBALS, json.dumps(self._options)])
        code, answer, said = exec_js_process(
            f"{_CHECK}.apply(null, {arguments})",
            timeout=self._timeout,
            context=_jshint(),
            container_engine=self._engine,
        )
        if code == -1:
            raise JavascriptException(f"JSHint took longer than {self._timeout:.0f} s.")
        try:
            results = json.loads(answer)
        except ValueError:
            code = code or 1
        if code != 0:
            raise JavascriptException(f"JSHint failed (exit code {code}): {said or answer}")
        for request, lines, found in zip(self._requests, self._lines, results, strict=True):
            texts = request["libraries"] + request["expressions"]
            for text, line, errors in zip(texts, lines, found, strict=True):
                print_js_hint_messages([_message(text, *error) for error in errors], line)


def _expressions(process: Process) -> Iterator[tuple[str, SourceLine | None]]:
    """Find the JavaScript in the expressions of a process, as cwltool does."""
    name = process.tool["class"]
    if process.doc_loader and name in process.doc_loader.vocab:
        name = avro_type_name(process.doc_loader.vocab[name])
    if process.doc_schema is None:
        return
    for expression, line in get_expressions(process.tool, process.doc_schema.names[name]):
        rest = expression.strip()
        try:
            while part := scanner(rest):
                fragment = rest[part[0] + 1 : part[1]]
                if rest[part[0]] == "$" and not _is_reference(fragment):
                    yield code_fragment_to_js(fragment, ""), line
                rest = rest[part[1] :]
        except SubstitutionError as error:
            if line is None:
                raise
            line.raise_type = WorkflowException
            raise line.makeError(str(error)) from error


def _is_reference(fragment: str) -> bool:
    """Tell whether something is a parameter reference, which is no JavaScript, to what all expressions know."""
    found = param_re.match(fragment)
    return bool(found and found.group(1) in GLOBALS)


@functools.cache
def _jshint() -> str:
    folder = files("cwltool").joinpath("jshint")
    texts = [folder.joinpath(name).read_text("utf-8") for name in ("jshint.js", "jshint_wrapper.js")]
    return f"var global = this;{texts[0]}\n{texts[1]}\nvar ob = {{validateJS: validateJS}}; ob"


def _message(text: str, line: int, character: int, code: str, reason: str) -> str:
    shown = text.split("\n")[line - 1]
    return f"JSHINT: {shown}\nJSHINT: {' ' * (character - 1)}^\nJSHINT: {code}: {reason}"
