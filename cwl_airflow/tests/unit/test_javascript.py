"""JavaScript that a service evaluates: what it gives, how it ends, and that nothing else evaluates it."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.documents import load as documents
from cwl_airflow.javascript import client as javascript
from cwl_airflow.runs.executor import StepExecutor
from cwl_airflow.runs.inputs import begin_run
from cwl_airflow.runs.layout import RunLayout
from cwl_airflow.runs.outputs import collect_outputs
from cwl_airflow.runs.run import CWLRun
from cwl_airflow.runs.steps import run_step
from cwl_utils import sandboxjs
from cwl_utils.errors import JavascriptException
from cwltool.errors import WorkflowException
from cwltool.validate_js import jshint_js
from gates import open_gate
from schema_salad.exceptions import ValidationException

SCRIPT = Path(javascript.__file__).with_name("server.js")


class Service(socketserver.ThreadingUnixStreamServer):
    """Does what the unit does: starts Node.js for each connection, and refuses more than so many."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: Path, *command: str) -> None:
        """Listen.

        :param command: what is started, Node.js by default.
        """
        self.processes: list[subprocess.Popen[bytes]] = []
        self.most = 64
        self.most_at_once = 0
        self._command = command or ("node", "--max-old-space-size=64", str(SCRIPT))
        self._count = threading.Lock()
        super().__init__(str(address), self._start)  # type: ignore[arg-type]

    def _start(self, connection: Any, _address: Any, _server: Any) -> None:
        with self._count:
            if self.running() >= self.most:
                return
            process = subprocess.Popen(self._command, stdin=connection, stdout=connection)
            self.processes.append(process)
            self.most_at_once = max(self.most_at_once, self.running())
        connection.close()  # or the client would not see that Node.js ended
        process.wait()

    def running(self) -> int:
        """Return how many processes there are."""
        return sum(process.poll() is None for process in self.processes)


@pytest.fixture
def own_engine() -> Iterator[None]:
    """Leave cwl_utils the engine that it had."""
    engine = sandboxjs.get_js_engine()
    yield
    sandboxjs.set_js_engine(engine)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Return a function that starts a service at ``unit.socket``."""
    services: list[Service] = []

    def started(*command: str) -> Service:
        services.append(Service(tmp_path / "unit.socket", *command))
        threading.Thread(target=services[-1].serve_forever, args=(0.05,), daemon=True).start()
        return services[-1]

    yield started
    for service in services:
        service.shutdown()
        service.server_close()
        for process in service.processes:
            process.kill()
            process.wait()


@pytest.fixture
def service(serve: Callable[..., Service]) -> Service:
    """Return a service that runs."""
    return serve()


@pytest.fixture
def engine(service: Service, tmp_path: Path) -> javascript.Engine:
    """Return the engine of a service that runs."""
    return javascript.Engine(tmp_path / "unit.socket")


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


EXPRESSIONS = [
    ("1+1", ""),
    ("{return [1.5, null, true, {'a': 'ä\\u2028\\n'}];}", ""),
    ("twice('a')", "function twice(x) { return x + x; }"),
    ("undefined", ""),
    ("{throw 5;}", ""),
    ("{throw new Error('no');}", ""),
    ("{return (}", ""),
    ("none", ""),
    ("(function(x) { return x; })", ""),
]


@pytest.mark.parametrize(("expression", "library"), EXPRESSIONS)
def test_an_expression_gives_what_it_gives_with_cwl_utils(
    engine: javascript.Engine, expression: str, library: str
) -> None:
    def outcome(of: sandboxjs.NodeJSEngine) -> Any:
        try:
            return of.eval(expression, library)
        except JavascriptException as error:
            return re.sub(r"\n +at .*", "", str(error))  # where it was in which script

    assert outcome(engine) == outcome(sandboxjs.NodeJSEngine())


def test_what_is_written_to_the_console_is_logged(engine: javascript.Engine, caplog: pytest.LogCaptureFixture) -> None:
    script = "{console.log('one', {a: 1}); console.error('two\\nthree'); return 4;}"
    with caplog.at_level("INFO"):
        assert engine.eval(script, js_console=True) == 4
    assert "[log] one { a: 1 }\n[err] two\n[err] three" in caplog.text


def test_javascript_is_checked_there(service: Service, engine: javascript.Engine, own_engine: None) -> None:
    sandboxjs.set_js_engine(engine)
    for _ in range(2):
        (error,) = jshint_js("var a = b;").errors
        assert "'b' is not defined" in error
    assert len(service.processes) == 1


def test_one_process_is_used_again_while_it_is_young(
    service: Service, engine: javascript.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        assert engine.eval(str(number)) == number
    assert len(service.processes) == 1
    monkeypatch.setattr(javascript, "LIFETIME", 0)
    assert engine.eval("1") == 1
    assert len(service.processes) == 2
    wait_until(lambda: service.running() == 1, "the old one did not end")


ESCAPE = "{var process = globalThis.constructor.constructor('return process')(); %s}"
SLEEP = "process.mainModule.require('child_process').execFileSync('sleep', ['30']);"


@pytest.mark.full
@pytest.mark.parametrize("expression", ["{while (true);}", ESCAPE % SLEEP])
def test_what_takes_too_long_is_ended_with_its_process(
    service: Service, engine: javascript.Engine, expression: str
) -> None:
    began = time.monotonic()
    with pytest.raises(JavascriptException, match="killed after 1 seconds"):
        engine.eval(expression, timeout=1)
    assert time.monotonic() - began < 5
    wait_until(lambda: service.running() == 0, "Node.js goes on")
    assert engine.eval("1") == 1


@pytest.mark.full
def test_what_trickles_takes_too_long(serve: Callable[..., Service], tmp_path: Path) -> None:
    serve("sh", "-c", "echo '\"ready\"'; while sleep 0.1; do printf 1; done")
    with pytest.raises(JavascriptException, match="killed after 1 seconds"):
        javascript.Engine(tmp_path / "unit.socket").eval("1", timeout=1)


@pytest.mark.full
def test_what_takes_too_much_memory_says_so(engine: javascript.Engine) -> None:
    with pytest.raises(JavascriptException, match="reaching memory limit"):
        engine.eval("{var all = []; while (true) all.push({a: all.length});}", timeout=60)
    assert engine.eval("1") == 1


def test_an_answer_has_a_bound(engine: javascript.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(javascript, "LONGEST", 2**20)
    assert len(str(engine.eval(f"'x'.repeat({2**20 - 100})"))) == 2**20 - 100
    with pytest.raises(JavascriptException, match="more than 1 MiB"):
        engine.eval(f"'x'.repeat({2**20})")


@pytest.mark.full
def test_what_ends_its_process_is_told_where_to_look(engine: javascript.Engine) -> None:
    with pytest.raises(JavascriptException, match=r"ended its Node\.js.*journalctl --unit='unit@\*'"):
        engine.eval(ESCAPE % "process.kill(process.pid, 'SIGKILL');")
    assert engine.eval("1") == 1


def test_who_leaves_the_sandbox_cannot_answer_for_it(engine: javascript.Engine) -> None:
    assert engine.eval(ESCAPE % 'process.stdout.write(\'["1",""]\\n\'); return 2;') == 2


def test_without_a_service_an_expression_fails_by_name(tmp_path: Path) -> None:
    engine = javascript.Engine(tmp_path / "unit.socket")
    with pytest.raises(JavascriptException, match=r"No such file .*: see systemctl status unit\.socket\.$"):
        engine.eval("1")
    with pytest.raises(JavascriptException, match=r"unit\.socket only"):
        engine.new_js_proc("")


@pytest.mark.full
def test_a_service_that_starts_nothing_is_told_by_name(
    serve: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(javascript, "START", 1)
    serve("false")
    with pytest.raises(JavascriptException, match=r"no Node\.js started in 1 s .*unit\.socket\.$"):
        javascript.Engine(tmp_path / "unit.socket").eval("1")


@pytest.mark.full
def test_who_comes_while_there_are_as_many_as_may_be_waits(service: Service, tmp_path: Path) -> None:
    service.most = 1
    first, second = (javascript.Engine(tmp_path / "unit.socket") for _ in range(2))
    assert first.eval("1") == 1
    given: list[Any] = []
    waiting = threading.Thread(target=lambda: given.append(second.eval("2")))
    waiting.start()
    waiting.join(0.5)
    assert not given
    service.processes[0].kill()
    waiting.join(20)
    assert given == [2]


def test_a_forked_process_has_a_connection_of_its_own(service: Service, engine: javascript.Engine) -> None:
    def in_child() -> None:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(inherited)
        assert engine.eval("2") == 2

    assert engine.eval("1") == 1
    inherited = engine._idle[(False, None)][0]._socket.fileno()
    child = multiprocessing.get_context("fork").Process(target=in_child)
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert engine.eval("3") == 3
    assert len(service.processes) == 2
    wait_until(lambda: service.running() == 1, "the child's process goes on")


COUNT = {
    "class": "ExpressionTool",
    "requirements": {"InlineJavascriptRequirement": {}},
    "inputs": {"number": "int"},
    "outputs": {"number": "int"},
    # Long enough for many to be there at once.
    "expression": "${var end = Date.now() + 30; while (Date.now() < end); return {number: inputs.number + 1};}",
}
NUMBERS = {
    "class": "Workflow",
    "requirements": {"ScatterFeatureRequirement": {}},
    "inputs": {"numbers": "int[]"},
    "outputs": {"numbers": {"type": "int[]", "outputSource": "count/number"}},
    "steps": {"count": {"run": COUNT, "scatter": "number", "in": {"number": "numbers"}, "out": ["number"]}},
}


def written(folder: Path, document: dict[str, Any]) -> str:
    """Write a document, and return its path."""
    file = folder / "document.cwl"
    file.write_text(json.dumps({"cwlVersion": "v1.2", **document}), encoding="utf-8")
    return str(file)


@pytest.mark.full
@pytest.mark.parametrize("cores", [1, 3])
def test_scattered_expressions_take_the_cores_that_there_are(
    service: Service, tmp_path: Path, own_engine: None, cores: int
) -> None:
    options = {"javascript_socket": str(tmp_path / "unit.socket")}
    made = CWLRun(written(tmp_path, NUMBERS), RunLayout(tmp_path / "run"), open_gate(tmp_path), options)
    begin_run(made, {"numbers": list(range(40))}, str(tmp_path))
    run_step(made, "count", "count", StepExecutor(cores, 1024))
    assert collect_outputs(made, tmp_path / "outputs") == {"numbers": list(range(1, 41))}
    assert 1 <= service.most_at_once <= cores
    assert len(service.processes) <= cores


def test_expressions_in_a_workflow_of_a_workflow(service: Service, tmp_path: Path, own_engine: None) -> None:
    outer = {
        **NUMBERS,
        "requirements": {"SubworkflowFeatureRequirement": {}},
        "steps": {"all": {"run": NUMBERS, "in": {"numbers": "numbers"}, "out": ["numbers"]}},
        "outputs": {"numbers": {"type": "int[]", "outputSource": "all/numbers"}},
    }
    options = {"javascript_socket": str(tmp_path / "unit.socket")}
    made = CWLRun(written(tmp_path, outer), RunLayout(tmp_path / "run"), open_gate(tmp_path), options)
    begin_run(made, {"numbers": [1, 2, 3]}, str(tmp_path))
    run_step(made, "all", "all", StepExecutor(1, 1024))
    assert collect_outputs(made, tmp_path / "outputs") == {"numbers": [2, 3, 4]}
    assert service.most_at_once == 1


def failed(folder: Path, document: dict[str, Any]) -> StepExecutor:
    """Return what ran a document with one expression that failed."""
    options = {"javascript_socket": str(folder / "unit.socket")}
    made = CWLRun(written(folder, document), RunLayout(folder / "run"), open_gate(folder), options)
    begin_run(made, {"number": 1}, str(folder))
    executor = StepExecutor(1, 1024)
    with pytest.raises(WorkflowException):
        run_step(made, None, "document", executor)
    return executor


def test_without_the_service_a_run_fails_and_starts_no_node(
    tmp_path: Path, own_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does cwl_utils' image of Node.js come to help."""
    started: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **_: started.append(arguments))
    (failure,) = failed(tmp_path, COUNT).failures
    assert re.match(r"JavaScript cannot be evaluated: No such file .*unit\.socket\.$", failure.lines[-1])
    assert not started


def test_an_expression_that_fails_says_why(service: Service, tmp_path: Path, own_engine: None) -> None:
    (failure,) = failed(tmp_path, {**COUNT, "expression": "${throw new Error('no number');}"}).failures
    assert (failure.command, failure.lines) == ("${throw new Error('no number');}", ["Error: no number"])


def test_without_the_service_a_document_is_not_checked(tmp_path: Path, own_engine: None) -> None:
    options = {"javascript_socket": str(tmp_path / "unit.socket")}
    with pytest.raises((JavascriptException, ValidationException, WorkflowException), match=r"unit\.socket"):
        documents.load_document(written(tmp_path, COUNT), open_gate(tmp_path), options)


def test_without_the_setting_cwl_utils_has_its_own_engine(tmp_path: Path, own_engine: None) -> None:
    before = sandboxjs.get_js_engine()
    documents.load_document(written(tmp_path, COUNT), open_gate(tmp_path))
    assert sandboxjs.get_js_engine() is before
