"""Documents as DAGs: each run below is a real one, in this process, on a real database."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rows
import sqlalchemy as sa
import yaml
from airflow.models import DagRun, TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk import conf
from airflow.sdk.exceptions import AirflowRescheduleException
from airflow.utils.session import create_session
from cwl_airflow.callers import Caller, acting_as, unrestricted_caller
from cwl_airflow.containers import FOLDERS as ENGINE_FOLDERS
from cwl_airflow.dags import operators
from cwl_airflow.dags.dag import CWLDAG, document_source, unused_task_id
from cwl_airflow.dags.failures import StepFailed
from cwl_airflow.dags.notes import ERROR
from cwl_airflow.dags.operators import LONGEST_RESULTS, RESULTS, CWLJobDispatcher, CWLJobGatherer
from cwl_airflow.dags.preload import preload_engine
from cwl_airflow.dags.retries import StepLost
from cwl_airflow.dags.settings import CWLSettings
from cwl_airflow.documents.plan import OUTPUTS_REPORT, STATISTICS
from cwl_airflow.rest import log_end
from cwl_airflow.runs.folder import remove_old_failures
from cwl_airflow.runs.layout import RunLayout

Site = Any
SAY = {
    "class": "CommandLineTool",
    "baseCommand": "echo",
    "inputs": {"word": {"type": "string", "inputBinding": {}}},
    "stdout": "said.txt",
    "outputs": {"said": {"type": "File", "outputBinding": {"glob": "said.txt"}}},
}
CHAIN = {
    "class": "Workflow",
    "inputs": {"word": "string"},
    "outputs": {"lines": {"type": "File", "outputSource": "number/lines"}},
    "steps": {
        "say": {"run": SAY, "in": {"word": "word"}, "out": ["said"]},
        "number": {
            "run": {
                "class": "CommandLineTool",
                "baseCommand": ["cat", "-n"],
                "inputs": {"file": {"type": "File", "inputBinding": {}}},
                "stdout": "lines.txt",
                "outputs": {"lines": "stdout"},
            },
            "in": {"file": "say/said"},
            "out": ["lines"],
        },
    },
}
SCATTER = {
    "class": "Workflow",
    "requirements": {"ScatterFeatureRequirement": {}},
    "inputs": {"words": "string[]"},
    "outputs": {"said": {"type": "File[]", "outputSource": "say/said"}},
    "steps": {"say": {"run": SAY, "scatter": "word", "in": {"word": "words"}, "out": ["said"]}},
}


def failing(script: str) -> dict[str, Any]:
    """Return a tool that runs a script."""
    return {"class": "CommandLineTool", "arguments": ["sh", "-c", script], "inputs": {}, "outputs": {}}


@pytest.fixture
def written(site: Site) -> Callable[..., Path]:
    """Return a function that writes a document into the folder of DAGs."""

    def write(document: dict[str, Any], name: str = "document") -> Path:
        file: Path = site.dags / f"{name}.cwl"
        file.write_text(json.dumps({"cwlVersion": "v1.2", **document}), encoding="utf-8")
        return file

    return write


@pytest.fixture
def ran(clean_database: Path, written: Callable[..., Path]) -> Callable[..., DagRun]:
    """Return a function that runs a document as the host itself would."""

    def run(document: dict[str, Any], job: Any, dag: CWLDAG | None = None, **settings: Any) -> DagRun:
        made = dag or CWLDAG(dag_id="document", workflow=written(document), default_args={"cwl": settings})
        rows.add_dag(made)
        with acting_as(unrestricted_caller("test")):
            return made.test(run_conf={"job": job})

    return run


@pytest.fixture
def option(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return a function that sets an option of section ``[cwl]`` for a test."""
    return lambda name, value: monkeypatch.setenv(f"AIRFLOW__CWL__{name.upper()}", value)


@pytest.fixture(autouse=True)
def kept_environment() -> Iterator[None]:
    """Restore the environment: a task takes Airflow's options out of it, as a worker's process ends with its task."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def pushed(run: DagRun, task_id: str, key: str = "return_value") -> Any:
    """Return what a task of a run pushed; none if it did not."""
    with create_session() as session:
        query = sa.select(XComModel.value).where(XComModel.run_id == run.run_id, XComModel.task_id == task_id)
        return session.scalar(query.where(XComModel.key == key))


def outputs(run: DagRun) -> dict[str, Any]:
    """Return the outputs of a run."""
    return dict(json.loads(Path(pushed(run, "CWLJobGatherer")).read_text(encoding="utf-8")))


def states(run: DagRun) -> dict[str, str | None]:
    """Return the states of a run's tasks, of mapped ones the last one."""
    with create_session() as session:
        return {task.task_id: task.state for task in run.get_task_instances(session=session)}


def pushed_error(run: DagRun, task_id: str) -> str:
    """Return the line that a failed task pushed."""
    return str(pushed(run, task_id, ERROR))


def test_a_chain_gives_its_outputs(ran: Any, site: Site) -> None:
    run = ran(CHAIN, {"word": "hello"})
    assert run.state == "success"
    found = outputs(run)
    assert Path(found["lines"]["path"]).read_text(encoding="utf-8").split() == ["1", "hello"]
    assert {name: step["status"] for name, step in found[STATISTICS]["steps"].items()} == {
        "say": "success",
        "number": "success",
    }
    assert pushed(run, "CWLJobGatherer", RESULTS) == {"lines": found["lines"]}
    assert not list(site.tmp.glob("document/*"))  # its intermediate data is gone


def test_a_run_says_who_started_it(ran: Any) -> None:
    assert Caller.of(ran(CHAIN, {"word": "hello"}).conf) == unrestricted_caller("test")


def test_intermediate_data_is_kept_if_asked_for(ran: Any, site: Site) -> None:
    run = ran(CHAIN, {"word": "hello"}, keep_tmp_data="yes")
    (folder,) = site.tmp.glob("document/*")
    assert RunLayout(folder).inputs.exists()
    assert run.state == "success"


def test_a_job_file_names_folders(ran: Any, site: Site) -> None:
    file = site.inputs / "job.yml"
    file.write_text(yaml.safe_dump({"word": "hello", "outputs_folder": "document/mine"}), encoding="utf-8")
    run = ran(CHAIN, "job.yml")
    assert run.state == "success"
    assert (site.outputs / "document/mine" / OUTPUTS_REPORT).exists()


@pytest.mark.parametrize("words", [["a"], ["a", "b", "c", "d", "e"], []])
def test_scattered_jobs_come_in_order(ran: Any, words: list[str]) -> None:
    run = ran(SCATTER, {"words": words}, scatter_jobs_in_task=1, scatter_tasks=2)
    assert run.state == "success"
    assert [Path(file["path"]).read_text(encoding="utf-8").strip() for file in outputs(run)["said"]] == words
    with create_session() as session:
        jobs = session.query(TaskInstance).filter(TaskInstance.task_id == "say.jobs").all()
        assert len([job for job in jobs if job.state == "success"]) == (2 if len(words) > 1 else 0)


def test_a_step_that_is_skipped_does_not_stop_those_after_it(ran: Any) -> None:
    document = json.loads(json.dumps(CHAIN))
    document["requirements"] = {"InlineJavascriptRequirement": {}}
    document["steps"]["say"] |= {"when": "$(inputs.word != 'skip')"}
    document["steps"]["number"]["when"] = "$(inputs.file !== null)"
    document["outputs"]["lines"]["type"] = "File?"
    run = ran(document, {"word": "skip"})
    assert run.state == "success"
    assert outputs(run)["lines"] is None
    assert states(run) == {
        "CWLJobDispatcher": "success",
        "say": "skipped",
        "number": "skipped",
        "CWLJobGatherer": "success",
    }


@pytest.mark.parametrize(
    ("document", "job", "task", "line"),
    [
        (CHAIN, {}, "CWLJobDispatcher", "CWLJobDispatcher: Input 'word' is missing. The job gives: nothing."),
        (CHAIN, {"wrod": "a"}, "CWLJobDispatcher", "Did you mean 'word'?"),
        (CHAIN, {"word": "a", "tmp_folder": "/etc/cron.d"}, "CWLJobDispatcher", "'tmp_folder': "),
        (failing("echo nothing there >&2; exit 3"), {}, "document", "exit status 3: nothing there"),
        (
            {**failing("true"), "outputs": {"file": {"type": "File", "outputBinding": {"glob": "no.txt"}}}},
            {},
            "document",
            "Did not find output file with glob pattern: ['no.txt'].",
        ),
        (
            {"class": "ExpressionTool", "requirements": {"InlineJavascriptRequirement": {}}, "inputs": {},
             "outputs": {"a": "int"}, "expression": "${ return nothing.here; }"},
            {},
            "document",
            "nothing is not defined",
        ),
    ],
)  # fmt: skip
def test_a_failure_is_told_in_one_line(ran: Any, document: dict[str, Any], job: Any, task: str, line: str) -> None:
    run = ran(document, job)
    assert run.state == "failed"
    said = pushed_error(run, task)
    assert line in said
    assert said.startswith(f"{task}: ")
    assert "\n" not in said


def test_a_step_that_fails_once_is_tried_again(ran: Any, site: Site, tmp_path: Path) -> None:
    flaky = failing(f"test -e {tmp_path}/tried || {{ touch {tmp_path}/tried; exit 1; }}")
    retries = {"retries": 1, "retry_delay": timedelta(0)}
    run = ran(flaky, {}, CWLDAG(dag_id="document", workflow=write(site, flaky), default_args=retries))
    assert run.state == "success"
    with create_session() as session:
        tries = sa.select(TaskInstance.try_number).where(TaskInstance.task_id == "document")
        assert session.scalar(tries) == 2


def test_a_step_that_is_cleared_runs_again_on_what_came_before_it(ran: Any, site: Site) -> None:
    """As Clear on Airflow's page does it; the run's data is still there."""
    from airflow.models.taskinstance import clear_task_instances
    from airflow.sdk.definitions.dag import _run_task

    dag = CWLDAG(dag_id="document", workflow=write(site, CHAIN), default_args={"cwl": {"keep_tmp_data": "yes"}})
    run = ran(CHAIN, {"word": "hello"}, dag)
    shutil.rmtree(site.outputs)
    again = ("number", "CWLJobGatherer")
    with create_session() as session:
        tasks = sa.select(TaskInstance).where(TaskInstance.run_id == run.run_id, TaskInstance.task_id.in_(again))
        clear_task_instances(list(session.scalars(tasks)), session)
    for task_id in again:
        with create_session() as session:
            (task,) = session.scalars(tasks.where(TaskInstance.task_id == task_id))
            task.try_number += 1
            session.flush()
            session.expunge_all()
        _run_task(ti=task, task=dag.get_task(task_id))
    assert states(run) == dict.fromkeys(("CWLJobDispatcher", "say", *again), "success")
    assert Path(outputs(run)["lines"]["path"]).read_text(encoding="utf-8").split() == ["1", "hello"]


@pytest.mark.full
def test_a_configuration_without_a_job_is_told(clean_database: Path, written: Any) -> None:
    dag = CWLDAG(dag_id="document", workflow=written(CHAIN))
    rows.add_dag(dag)
    with pytest.raises(ValueError, match=r"has no 'job'. Did you mean 'job'\? It must be .* with the inputs: word\.$"):
        dag.test(run_conf={"jobs": {}})
    with pytest.raises(ValueError, match=r"^Input 'word' is missing\.$"):
        dag.test(run_conf={"word": None})
    with create_session() as session:
        assert not list(session.scalars(sa.select(DagRun)))
    run = dag.test(run_conf={})
    assert "has no 'job'. It must be" in pushed_error(run, "CWLJobDispatcher")


def test_a_form_starts_a_run(clean_database: Path, written: Any) -> None:
    dag = CWLDAG(dag_id="document", workflow=written(CHAIN))
    rows.add_dag(dag)
    assert [*dag.params] == ["word"]
    assert not any(task.params for task in dag.tasks)
    run = dag.test(run_conf={"word": "hello"})
    assert set(states(run).values()) == {"success"}
    assert Path(outputs(run)["lines"]["path"]).read_text(encoding="utf-8").split() == ["1", "hello"]


@pytest.mark.parametrize("word", ["/etc/passwd", ["/etc/passwd"], "file:///etc/passwd", "http://127.0.0.1/a"])
def test_a_form_with_what_its_run_may_not_read_makes_no_run(clean_database: Path, written: Any, word: Any) -> None:
    kind = "File[]" if isinstance(word, list) else "File"
    tool = {**CHAIN["steps"]["number"]["run"], "inputs": {"word": kind}}
    rows.add_dag(CWLDAG(dag_id="document", workflow=written(tool)))
    with pytest.raises(ValueError, match=r"^Input 'word': \S+ "):
        DagRun("document", "a", conf={"word": word})


@pytest.mark.parametrize("caller", [Caller("eve", frozenset({"mine"}), False), unrestricted_caller("boss")])
def test_who_fills_in_a_form_is_noted(clean_database: Path, written: Any, caller: Caller) -> None:
    rows.add_dag(CWLDAG(dag_id="document", workflow=written(CHAIN)))
    with acting_as(caller):
        assert Caller.of(DagRun("document", "a", conf={"word": "hello"}).conf) == caller


def test_a_document_that_cannot_be_described_has_a_dag(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RecursionError

    with monkeypatch.context() as patch:
        patch.setattr("cwl_airflow.documents.about.describe_document", fail)
        patch.setattr("cwl_airflow.dags.dag.dag_page", fail)
        patch.setattr("cwl_airflow.dags.dag.form_fields", fail)
        patch.setattr("cwl_airflow.documents.load.pack", fail)
        dag = CWLDAG(dag_id="document", workflow=written(CHAIN))
        assert dag.packed_document() is None
    assert len(dag.tasks) > 2
    assert not [*dag.params]


def test_a_document_is_packed_once_until_it_changes(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dag = CWLDAG(dag_id="document", workflow=written(CHAIN))
    assert dag.packed_document()["id"] == "#main"
    with monkeypatch.context() as patch:
        patch.setattr("cwl_airflow.documents.load.pack", lambda *_: {"$graph": [{"id": "again"}]})
        assert dag.packed_document()["id"] == "#main"
        written({**CHAIN, "label": "other"})
        assert dag.packed_document()["id"] == "again"


def test_the_data_of_a_failed_run_stays_and_is_marked(ran: Any, site: Site) -> None:
    ran(failing("exit 1"), {})
    (folder,) = site.tmp.glob("document/*")
    assert RunLayout(folder).failed.exists()
    remove_old_failures(site.tmp, days=0)
    assert folder.exists()  # for an hour at least
    os.utime(RunLayout(folder).failed, (0, 0))
    remove_old_failures(site.tmp, days=10**6)
    assert folder.exists()
    remove_old_failures(site.tmp, days=1)
    assert not folder.exists()


def test_old_failures_that_are_not_runs_or_at_work_stay(site: Site) -> None:
    import fcntl

    old = [site.tmp / "@wes/run", site.tmp / "document/run"]
    for folder in old:
        folder.mkdir(parents=True)
        RunLayout(folder).mark_failed()
        os.utime(RunLayout(folder).failed, (0, 0))
    with RunLayout(old[1]).lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        remove_old_failures(site.tmp, days=1)
        assert old[1].exists()
    remove_old_failures(site.tmp, days=1)
    assert [folder.exists() for folder in old] == [True, False]


@pytest.mark.full
def test_a_run_whose_data_is_gone_says_what_to_clear(ran: Any, site: Site) -> None:
    class Forgetful(CWLJobDispatcher):
        def act(self, context: Any) -> str:
            report = super().act(context)
            Path(report).unlink()
            return report

    dag = CWLDAG(dag_id="document", workflow=write(site, CHAIN), dispatcher=Forgetful())
    run = ran(CHAIN, {"word": "a"}, dag)
    assert "is gone" in pushed_error(run, "say")
    assert "clear CWLJobDispatcher, with all tasks after it" in pushed_error(run, "say")


def write(site: Site, document: dict[str, Any]) -> Path:
    """Write a document."""
    file: Path = site.dags / "document.cwl"
    file.write_text(json.dumps({"cwlVersion": "v1.2", **document}), encoding="utf-8")
    return file


def test_dispatchers_and_gatherers_of_the_users_own(ran: Any, site: Site) -> None:
    from airflow.providers.standard.operators.python import PythonOperator
    from cwl_airflow.utilities.cwl import collect_reports, relocate_outputs

    tmp, out = site.tmp / "document/own", site.outputs / "document/own"
    found: dict[str, Any] = {}

    def dispatch() -> str:
        tmp.mkdir(parents=True)
        report = tmp / "own.json"
        report.write_text(json.dumps({"word": "mine", "tmp_folder": str(tmp), "outputs_folder": str(out)}))
        return str(report)

    def gather(**context: Any) -> str:
        found.update(collect_reports(context))
        moved, report = relocate_outputs(context["dag"].workflow, found, context["dag"].default_args["cwl"])
        found["moved"] = moved
        return report

    dispatcher = PythonOperator(task_id="dispatch", python_callable=dispatch)
    gatherer = PythonOperator(task_id="gather", python_callable=gather)
    workflow = write(site, CHAIN)
    dag = CWLDAG(dag_id="document", workflow=str(workflow), dispatcher=dispatcher, gatherer=gatherer)
    assert not dag.params  # its runs may have any configuration
    run = ran(CHAIN, None, dag)
    assert run.state == "success"
    assert found["word"] == "mine"
    assert found["say_said"]["basename"] == "said.txt"
    assert found["number_lines"]["basename"] == "lines.txt"
    assert Path(found["moved"]["lines"]["path"]).read_text(encoding="utf-8").split() == ["1", "mine"]
    assert (out / OUTPUTS_REPORT).exists()


def test_outputs_that_are_too_many_are_not_pushed(ran: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LONGEST_RESULTS == 4 * 2**20
    monkeypatch.setattr("cwl_airflow.dags.operators.LONGEST_RESULTS", 10)
    run = ran(CHAIN, {"word": "hello"})
    assert run.state == "success"
    assert pushed(run, "CWLJobGatherer", RESULTS) is None


@pytest.mark.full
@pytest.mark.parametrize(
    ("digits", "result"),
    [
        ("9223372036854775807", 9223372036854775807),
        ("-9223372036854775808", -9223372036854775808.0),
        ("1" + "0" * 42, 1e42),
        ("1" + "0" * 400, "1" + "0" * 400),
        ("-1e400", "-Infinity"),
        ("0.5", 0.5),
        ("NaN", "NaN"),
    ],
)
def test_any_number_may_be_an_output(ran: Any, digits: str, result: Any) -> None:
    tool = {
        "class": "CommandLineTool",
        "baseCommand": ["echo", f'{{"number": {digits}}}'],
        "inputs": {},
        "outputs": {"number": "Any"},
        "stdout": "cwl.output.json",
    }
    run = ran(tool, {})
    assert run.state == "success"
    assert pushed(run, "CWLJobGatherer", RESULTS) == {"number": result}


def test_a_document_that_is_given_as_text_runs(ran: Any, site: Site) -> None:
    import base64
    import gzip

    text = json.dumps({"cwlVersion": "v1.2", **SAY})
    packed = base64.b64encode(gzip.compress(text.encode())).decode()
    source = document_source(packed, site.pickle)
    assert Path(source).read_text(encoding="utf-8") == text
    dag = CWLDAG(dag_id="packed", workflow=packed)
    assert ran(SAY, {"word": "hello"}, dag).state == "success"


def supervised(dag_id: str, run_id: str, task_id: str) -> list[dict[str, Any]]:
    """Run a task in a process of its own, as a worker does, and return its log."""
    from airflow.executors.workloads import BundleInfo
    from airflow.sdk.api.datamodels._generated import TaskInstance as SupervisedTask
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor, supervise_task

    columns = (TaskInstance.id, TaskInstance.dag_version_id)
    with create_session() as session:
        mine = (TaskInstance.task_id == task_id, TaskInstance.run_id == run_id)
        identity, version = session.execute(sa.select(*columns).where(*mine)).one()
        session.execute(sa.update(TaskInstance).where(*mine).values(state="queued", try_number=1))
    names = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": -1}
    supervise_task(
        ti=SupervisedTask(id=identity, dag_version_id=version, try_number=1, queue="default", **names),
        bundle_info=BundleInfo(name=rows.BUNDLE),
        dag_rel_path=f"{dag_id}.py",
        token="",
        log_path=f"{run_id}/{task_id}.log",
        client=InProcessTestSupervisor._api_client(),
    )
    log = Path(conf.get("logging", "base_log_folder"), run_id, f"{task_id}.log").read_text(encoding="utf-8")
    # cwltool numbers the jobs of a process, which has inherited those of the tests before.
    return [json.loads(line) for line in re.sub(r"\.cwl_\d+", ".cwl", log).splitlines()]


@pytest.mark.full
def test_the_log_of_a_task_has_what_cwltool_says_at_its_own_level(
    clean_database: Path, written: Any, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task in a process of its own, under Airflow's supervisor, which knows nothing of this one."""
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.utils.types import DagRunTriggeredByType

    monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", "INFO")
    file = written(failing("echo nothing there >&2; exit 3"))
    text = f"from cwl_airflow.extensions.cwldag import CWLDAG\ndag = CWLDAG('logged', {str(file)!r})\n"
    (site.dags / "logged.py").write_text(text, encoding="utf-8")
    rows.read_dag_files(site.dags)
    trigger_dag("logged", run_id="r", conf={"job": {}}, triggered_by=DagRunTriggeredByType.CLI)
    supervised("logged", "r", "CWLJobDispatcher")
    log = supervised("logged", "r", "document")
    of_cwltool = [(message["level"], message["event"]) for message in log if message["logger"] == "cwltool"]
    assert [level for level, _ in of_cwltool if level not in ("info", "warning")] == []
    assert ("info", "[document.cwl] nothing there") in of_cwltool
    assert ("warning", "[job document.cwl] exited with status: 3") in of_cwltool
    assert [message for message in log if message["logger"] == "task.stderr"] == []
    assert [message["event"].partition("\n")[0] for message in log if message["level"] == "error"] == [
        "document.cwl failed (exit status 3)",
        "Task failed with exception",
    ]
    # What the client of the REST API shows of it.
    assert log_end(log)[-2:] == [
        "Task failed with exception",
        "StepFailed: document: 'sh -c 'echo nothing there >&2; exit 3'' exit status 3: nothing there",
    ]


def test_callbacks_of_the_users_own_are_called_as_well(ran: Any, site: Site) -> None:
    called = []
    for callback in (lambda context: called.append(context["run_id"]),), lambda context: called.append("one"):
        given = list(callback) if isinstance(callback, tuple) else callback
        dag = CWLDAG(dag_id="document", workflow=write(site, failing("exit 1")), on_failure_callback=given)
        (site.tmp / "document").mkdir(exist_ok=True)
        callbacks = dag.on_failure_callback
        assert len(callbacks) == 2
        layout = RunLayout(dag.folders("lost", {})[0])
        layout.folder.mkdir(parents=True, exist_ok=True)
        run = DagRun("document", "lost", conf={"job": {}})
        for each in callbacks:
            each({"dag_run": run, "run_id": "lost"})
        assert layout.failed.exists()
    assert called == ["lost", "one"]


def test_queues_of_steps(written: Any, option: Any, tmp_path: Path, site: Site) -> None:
    queues = tmp_path / "queues.yaml"
    queues.write_text("default: {cpus: 1, ram: 1024}\nbig: {cpus: 4, ram: 8192}\n", encoding="utf-8")
    option("queues", str(queues))
    document = json.loads(json.dumps(CHAIN))
    document["steps"]["say"]["run"]["requirements"] = {"ResourceRequirement": {"ramMin": 2000}}
    dag = CWLDAG(dag_id="document", workflow=written(document))
    assert {task.task_id: task.queue for task in dag.tasks if task.task_id in ("say", "number")} == {
        "say": "big",
        "number": "default",
    }
    named = CWLDAG(dag_id="document", workflow=written(document), queues={"number": "big"})
    assert named.get_task("number").queue == "big"
    assert CWLSettings.read({}).granted_resources("big") == (4.0, 8192.0)
    assert CWLSettings.read({}).granted_resources("unknown")[0] == os.cpu_count()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"container_engine": "rkt"}, "[cwl] container_engine is rkt; it must be 'docker', 'podman', 'singularity' or"),
        ({"keep_failed_days": "-1"}, "[cwl] keep_failed_days is -1; it must be greater than or equal to 0"),
        ({"keep_failed_days": "inf"}, "[cwl] keep_failed_days is inf; it must be a finite number"),
        ({"min_free": "-1"}, "[cwl] min_free is -1; it must be greater than or equal to 0"),
        ({"keep_failed_days": "soon"}, "[cwl] keep_failed_days is soon; it must be a valid number"),
        ({"scatter_jobs_in_task": "0"}, "[cwl] scatter_jobs_in_task is 0; it must be greater than or equal to 1"),
        ({"scatter_tasks": "5000"}, "[cwl] scatter_tasks is 5000; it must be at most 1024, which is [core] max_map"),
        ({"keep_tmp_data": "perhaps"}, "[cwl] keep_tmp_data is perhaps; it must be a valid boolean"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        CWLSettings.read(settings)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_tasks_begin_when_there_is_room(ran: Any, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[Any] = []

    def wait(folders: Any, least: float, say: Any) -> bool:
        waited.append((folders, least))
        return True

    monkeypatch.setattr(operators, "wait_for_room", wait)
    assert ran(CHAIN, {"word": "hello"}, min_free=7, engine_folder="/data").state == "success"
    assert [least for _, least in waited] == [7, 7, 7]  # and not the task that collects, which makes room
    for folders, _ in waited:
        folder, outputs_folder, engine = folders
        assert site.tmp in folder.parents
        assert outputs_folder.parent == site.outputs / "document"
        assert engine == Path("/data")


def test_a_task_without_room_comes_again_and_is_not_tried_again(
    clean_database: Path, written: Any, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag = CWLDAG(dag_id="document", workflow=written(CHAIN))
    monkeypatch.setattr(operators, "wait_for_room", lambda *_: False)
    task = dag.get_task("CWLJobDispatcher")
    run = SimpleNamespace(conf={"job": {"word": "a"}}, run_id="run")
    with acting_as(unrestricted_caller("test")), pytest.raises(AirflowRescheduleException) as raised:
        task.execute({"dag_run": run, "run_id": "run", "ti": None})
    assert timedelta() < raised.value.reschedule_date - datetime.now(timezone.utc) <= operators.PAUSE_FOR_ROOM
    assert not [*site.tmp.rglob("*")]


def test_a_task_that_nobody_listens_to_is_lost() -> None:
    task = CWLJobDispatcher()
    with pytest.raises(StepLost, match="CWLJobDispatcher: its supervisor went away"), task._told_in_one_line():
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize(
    ("settings", "folders"),
    [({}, ENGINE_FOLDERS["docker"]), ({"engine_folder": "/data"}, [Path("/data")]), ({"podman": True}, ())],
)
def test_a_container_engine_needs_room_too(settings: dict[str, Any], folders: Any) -> None:
    assert CWLSettings.read(settings).engine_folders == folders


def test_settings_of_the_host_go_before_those_of_a_dag(option: Any) -> None:
    assert CWLSettings.read({"keep_failed_days": 3}).keep_failed_days == 3
    option("keep_failed_days", "9")
    assert CWLSettings.read({"keep_failed_days": 3}).keep_failed_days == 9
    option("use_container", "False")
    option("javascript_socket", "/run/javascript.socket")
    option("fetch_hosts", "example.org")
    options = CWLSettings.read({"use_container": True, "fetch_hosts": "all", "eval_timeout": 7}).cwltool
    assert options["use_container"] is False
    assert options["javascript_socket"] == "/run/javascript.socket"
    assert options["eval_timeout"] == 7
    assert "fetch_hosts" not in options


@pytest.mark.parametrize(
    ("settings", "engine", "command", "podman", "singularity"),
    [
        ({}, "docker", "docker", False, False),
        ({"podman": True}, "podman", "podman", True, False),
        ({"singularity": True}, "singularity", "docker", False, True),
        ({"container_engine": "apptainer"}, "apptainer", "docker", False, True),
    ],
)
def test_engines(settings: dict[str, Any], engine: str, command: str, podman: bool, singularity: bool) -> None:
    found = CWLSettings.read(settings)
    assert (found.container_engine, found.container_command) == (engine, command)
    assert (found.cwltool["podman"], found.cwltool["singularity"]) == (podman, singularity)


@pytest.mark.parametrize(("slots", "tasks"), [("0", 32), ("1", 4), ("10", 20), ("100000", 1024)])
def test_tasks_of_a_scattered_step_follow_from_the_slots(option: Any, slots: str, tasks: int) -> None:
    option("worker_slots", slots)
    assert CWLSettings.read({}).scatter_tasks == tasks


def test_a_document_that_asks_for_too_much_has_a_dag_if_it_may(written: Any, option: Any, site: Site) -> None:
    queues = site.dags / "queues.yaml"
    queues.write_text("default: {cpus: 1, ram: 1024}\n", encoding="utf-8")
    option("queues", str(queues))
    document = {**failing("exit 0"), "requirements": {"ResourceRequirement": {"coresMin": 64}}}
    with pytest.raises(ValueError, match="requires 64 cores and 256 MiB, and no queue has as much"):
        CWLDAG(dag_id="document", workflow=written(document))
    said = "requires 64 cores and 256 MiB, and runs with 1 core and 256 MiB: its queue has no more (oversized = cap)."
    dag = CWLDAG(dag_id="document", workflow=written(document), default_args={"cwl": {"oversized": "cap"}})
    assert said in (dag.doc_md or "").partition("\n")[0]
    option("oversized", "cap")
    (task,) = (
        each for each in CWLDAG(dag_id="document", workflow=written(document)).tasks if each.task_id == "document"
    )
    assert task.queue == "default"


def test_a_task_id_that_is_taken() -> None:
    assert unused_task_id("say.jobs", ["say.jobs", "say.jobs_"]) == "say.jobs__"


def test_a_dag_has_the_default_arguments_of_before(written: Any) -> None:
    dag = CWLDAG(dag_id="document", workflow=written(CHAIN), default_args={"owner": "lab"})
    assert dag.default_args["owner"] == "lab"
    assert dag.default_args["start_date"].isoformat() == "2020-01-01T00:00:00+00:00"  # the same every day
    assert dag.schedule is None
    assert dag.default_args["cwl"]["tmp_folder"] == conf.get("cwl", "tmp_folder")
    assert isinstance(dag.dispatcher, CWLJobDispatcher)
    assert isinstance(dag.gatherer, CWLJobGatherer)


@pytest.mark.parametrize("task", [None, "say"])
def test_ontologies_are_fetched_where_dag_files_are_read_and_not_in_tasks(
    written: Any, monkeypatch: pytest.MonkeyPatch, task: str | None
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr("cwl_airflow.dags.dag.refresh_ontologies", lambda uris, *_: asked.append(uris))
    if task:
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "document")
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", task)
    for _ in range(2):  # the second time, its plan is kept
        dag = CWLDAG(dag_id="document", workflow=written({**CHAIN, "$schemas": ["https://terms.invalid/terms.rdf"]}))
        assert dag.plan.ontologies == ("https://terms.invalid/terms.rdf",)
    assert asked == ([] if task else [dag.plan.ontologies] * 2)
    CWLDAG(dag_id="plain", workflow=written(CHAIN, "plain"))
    assert len(asked) == (0 if task else 2)


@pytest.mark.full
def test_everything_can_be_loaded_beforehand(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    frozen = []
    monkeypatch.setattr("gc.freeze", lambda: frozen.append(True))
    preload_engine()
    assert not caplog.records
    assert frozen
    monkeypatch.setattr("cwl_airflow.dags.preload.AIRFLOW", ("airflow.not_there",))
    preload_engine()
    assert "could not be loaded beforehand" in caplog.text


def test_killing_a_task_ends_what_it_started(written: Any, clean_database: Path) -> None:
    dag = CWLDAG(dag_id="document", workflow=written(CHAIN))
    stopped = []

    class Running:
        def stop(self) -> None:
            stopped.append(True)

    task = dag.get_task("say")
    task.on_kill()
    assert not stopped
    task._run = Running()
    task.on_kill()
    assert stopped


def test_a_task_that_is_killed_does_not_go_on(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow calls only `on_kill`, from a signal, and waits for the task to end."""
    task = CWLDAG(dag_id="document", workflow=written(CHAIN)).get_task("say")
    said = []

    class Instance:
        def xcom_push(self, key: str, value: str) -> None:
            said.append((key, value))
            task.on_kill()  # once more, when it is ending

    def act(_context: Any) -> None:
        task.on_kill()
        pytest.fail("it went on")

    monkeypatch.setattr(task, "act", act)
    with pytest.raises(StepFailed, match="say: it was told to end"):
        task.execute({"ti": Instance()})
    assert said == [(ERROR, "say: it was told to end")]


def test_the_argument_of_airflow_2_for_a_schedule_is_refused_by_name(written: Any) -> None:
    with pytest.raises(ValueError, match=r"DAG 'document' has 'schedule_interval', .* name it 'schedule'"):
        CWLDAG(dag_id="document", workflow=written(CHAIN), schedule_interval=None)


def test_the_configuration_keeps_what_leaves_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.configuration import conf as conf_of_services
    from cwl_airflow.environment import leave_environment

    monkeypatch.setenv("AIRFLOW__CWL__SECRET_OF_A_TEST", "100%")
    leave_environment()
    assert "AIRFLOW__CWL__SECRET_OF_A_TEST" not in os.environ
    assert [parser.get("cwl", "secret_of_a_test") for parser in (conf, conf_of_services)] == ["100%", "100%"]


def test_a_failure_of_which_airflow_knows_no_task_is_noted(written: Any, site: Site) -> None:
    dag = CWLDAG(dag_id="document", workflow=written(CHAIN))
    layout = RunLayout(dag.folders("lost", {})[0])
    layout.folder.mkdir(parents=True)
    dag.on_failure_callback[0]({"dag": dag, "run_id": "lost", "reason": "timed_out"})
    assert layout.failed.exists()
