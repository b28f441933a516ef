"""What is found of an Airflow: of one that is as it must be, and of some that are not."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.commands.main import main
from cwl_airflow.installation import Finding
from home import HOME, Site

from cwl_airflow import installation, schema

SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"


@pytest.fixture
def engine(clean_database: Path) -> Any:
    from airflow import settings

    return settings.engine


@pytest.fixture(autouse=True)
def logging_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the option that the command sets: whoever configures Airflow's logs later would have it."""
    monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return a function that makes a program, beside which there are only those of a shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def add(name: str, text: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (folder / name).chmod(0o755)

    return add


def lines(findings: Iterable[Finding]) -> list[str]:
    return [str(finding) for finding in findings]


def test_an_airflow_that_is_as_it_must_be(
    site: Site,
    engine: Any,
    programs: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    programs("docker", "echo one; echo two")
    (tmp_path / "airflow.cfg").touch()
    monkeypatch.setenv("AIRFLOW_CONFIG", str(tmp_path / "airflow.cfg"))
    before = sorted(HOME.rglob("*"))
    assert main(["init", "--timeout", "5"]) == 0
    shown = capsys.readouterr().out
    # Airflow was loaded before, and writes its log among them.
    findings = [line for line in shown.splitlines() if line.startswith(("ok ", "note ", "wrong "))]
    assert [line.split(":")[0].split(maxsplit=1) for line in findings] == [
        ["ok", "configuration"],
        ["ok", "Airflow"],
        ["ok", "CWL"],
        ["ok", "plug-in"],
        ["ok", "settings"],
        ["note", "new DAGs"],
        ["ok", "DAG files"],
        ["ok", "tmp"],
        ["ok", "inputs"],
        ["ok", "outputs"],
        ["ok", "pickle"],
        ["ok", "users"],
        ["ok", "database"],
        ["note", "database"],
        ["ok", "tables of Airflow"],
        ["ok", "tables of cwl-airflow"],
        ["ok", "executor"],
        ["ok", "broker"],
        ["ok", "containers"],
        ["note", "JavaScript"],
    ]
    assert "answers, 2 containers" in shown
    # Python keeps what it has compiled, and SQLite has files beside the one of a database that is open.
    after = [str(path) for path in HOME.rglob("*") if path not in before]
    assert [path for path in after if "pycache" not in path and not path.endswith(("-shm", "-wal"))] == []


def test_an_airflow_that_nobody_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONFIG", str(tmp_path / "airflow.cfg"))
    assert main(["init"]) == 1
    text = f"wrong  configuration: {tmp_path}/airflow.cfg is not there: run airflow db migrate, which makes it\n"
    assert capsys.readouterr().out == text


def test_a_configuration_that_another_user_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "airflow.cfg").touch()
    monkeypatch.setenv("AIRFLOW_CONFIG", str(tmp_path / "airflow.cfg"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert lines(installation.check_installation(1)) == [
        f"wrong  configuration: {tmp_path}/airflow.cfg may not be read: run sudo cwl-airflow init"
    ]


def test_a_finding_is_one_line() -> None:
    assert str(Finding("a", "ok", "b\n  c")) == "ok     a: b c"


def test_other_releases(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import airflow

    monkeypatch.setattr(airflow, "__version__", "3.4.0")

    def version(name: str) -> str:
        if name == "cwltest":
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(installation, "version", version)
    assert lines(installation.check_versions()) == [
        "wrong  Airflow: 3.4.0, with cwl-airflow 1, which is written for 3.3: pip install 'apache-airflow~=3.3.0'",
        "wrong  cwltest: it is not installed: pip install cwltest",
        "ok     CWL: cwltool 1, cwl-utils 1",
    ]


def test_a_package_that_airflow_does_not_load(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow import plugins_manager

    monkeypatch.setattr(plugins_manager, "get_fastapi_plugins", lambda: ([], []))
    monkeypatch.setattr(plugins_manager, "get_import_errors", lambda: {"cwl_airflow": "no", "other": "x"})
    (finding,) = installation.check_entry_points()
    assert (finding.state, "cwl_airflow: no)" in finding.text) == ("wrong", True)
    monkeypatch.setattr(installation, "entry_points", lambda **_: [])
    (finding,) = installation.check_entry_points()
    assert finding.text.startswith("airflow.policy and airflow.plugins do not name cwl_airflow: install the package")


def test_settings_that_cannot_be(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__KEEP_FAILED_DAYS", "x")
    (finding,) = installation.check_settings()
    assert (finding.state, finding.text.startswith("[cwl] keep_failed_days is x; it must be ")) == ("wrong", True)
    assert [*installation.check_folders(), *installation.check_programs()] == []


def test_runs_that_start_at_once(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION", "False")
    assert [finding.subject for finding in installation.check_settings()] == ["settings"]


def test_a_folder_of_dag_files_that_is_not_read(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path / "dags"))
    bundle = (
        '[{"name": "a", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {"path": "/x"}}]'
    )
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", bundle)
    assert lines(installation.check_dags_folder()) == [
        f"wrong  DAG files: {tmp_path}/dags is not there: mkdir -p {tmp_path}/dags",
        f"wrong  DAG files: Airflow does not read {tmp_path}/dags: name it in [dag_processor] dag_bundle_config_list",
    ]


def test_folders_that_cannot_be_written(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path / "file/tmp"))
    monkeypatch.setenv("AIRFLOW__CWL__INPUTS_FOLDER", str(tmp_path / "new"))
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != site.outputs and access(path, mode))
    assert lines(installation.check_folders()) == [
        f"wrong  tmp: {tmp_path}/file/tmp may not be written by this user: remove the file {tmp_path}/file",
        f"ok     inputs: {tmp_path}/new is not there yet, a run makes it",
        f"wrong  outputs: {site.outputs} may not be written by this user: sudo chown {os.geteuid()} {site.outputs}",
        f"ok     pickle: {site.pickle}",
    ]


def test_other_users(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", SIMPLE)
    (finding,) = installation.check_users()
    assert (finding.state, "does not start with SimpleAuthManager" in finding.text) == ("note", True)
    monkeypatch.setitem(sys.modules, installation.FAB.rpartition(".")[0], None)  # type: ignore[arg-type]
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", installation.FAB)
    (finding,) = installation.check_users()
    assert (finding.state, "pip install 'cwl-airflow[api]'" in finding.text) == ("wrong", True)


def test_a_database_that_does_not_answer(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "sqlite:////none.db")
    (finding,) = installation.check_databases(1)
    assert (finding.state, finding.text.startswith("/none.db is not there: ")) == ("wrong", True)
    assert not Path("/none.db").exists()


def test_mariadb(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "check_database", lambda _: "answers")
    monkeypatch.setattr(engine.dialect, "is_mariadb", True, raising=False)
    answers, refusal = installation.check_databases(1)
    assert (answers.state, refusal.state, "MariaDB" in refusal.text) == ("ok", "wrong", True)


@pytest.mark.full
def test_tables_of_other_releases(engine: Any) -> None:
    assert lines(installation.check_tables(engine)) == [
        "ok     tables of Airflow: they are of this release",
        "ok     tables of cwl-airflow: they are made when the CWL API or the service for reports starts",
    ]
    schema.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'e79fc784f145'")
        connection.exec_driver_sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    assert lines(installation.check_tables(engine)) == [
        "wrong  tables of Airflow: they are not of this release: run airflow db migrate",
        "wrong  tables of cwl-airflow: a later cwl-airflow made them: pip install --upgrade cwl-airflow",
    ]


def test_no_tables_at_all(airflow_home: Path, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.utils import db

    def fail(**_: Any) -> None:
        raise RuntimeError("no such table")

    monkeypatch.setattr(db, "check_migrations", fail)
    first, _ = installation.check_tables(engine)
    assert str(first) == "wrong  tables of Airflow: no such table: run airflow db migrate"


@pytest.mark.parametrize(
    ("executor", "error", "found"),
    [
        ("LocalExecutor", None, ["ok     executor: LocalExecutor, which needs no broker"]),
        ("CeleryExecutor", None, ["ok     executor: CeleryExecutor", "ok     broker: passes"]),
        (
            "CeleryExecutor",
            ImportError("No module named 'kombu'"),
            [
                "ok     executor: CeleryExecutor",
                "wrong  broker: No module named 'kombu': pip install 'cwl-airflow[celery]'",
            ],
        ),
        (
            "CeleryExecutor",
            OSError("refused"),
            [
                "ok     executor: CeleryExecutor",
                "wrong  broker: refused: see [celery] broker_url, and whether the broker runs",
            ],
        ),
    ],
)
def test_the_broker_is_asked_where_there_must_be_one(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch, executor: str, error: Exception | None, found: list[str]
) -> None:
    def check(_: int) -> str:
        if error:
            raise error
        return "passes"

    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    monkeypatch.setattr(installation, "check_broker", check)
    assert lines(installation.check_executor(1)) == found


def test_engines_for_containers(
    airflow_home: Path, programs: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> str:
        return str(next(iter(installation.check_programs())))

    assert found() == "note   containers: there is no docker: a worker here cannot run steps in containers"
    programs("docker", "echo permission denied >&2; exit 1")
    assert found().endswith("does not answer this user (a worker's unit may ask): permission denied")
    monkeypatch.setenv("AIRFLOW__CWL__CONTAINER_ENGINE", "apptainer")
    programs("apptainer", "exit 1")
    assert found().endswith("/bin/apptainer")


def test_javascript(
    airflow_home: Path, programs: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def found() -> str:
        return str(list(installation.check_programs())[-1])

    node = shutil.which("node", path=os.defpath + ":/usr/local/bin") or shutil.which("nodejs", path=os.defpath)
    assert found() == "note   JavaScript: there is no Node.js: install nodejs, for documents with JavaScript"
    programs("node", "exit 1")
    programs("nodejs", "exit 1")
    assert found().startswith("wrong  JavaScript: ")
    if node:
        for name in ("node", "nodejs"):
            programs(name, f'exec {node} "$@"')
        assert found() == "ok     JavaScript: Node.js says that 1 + 1 is 2"
    monkeypatch.setenv("AIRFLOW__CWL__JAVASCRIPT_SOCKET", str(tmp_path / "js.socket"))
    assert found().startswith("wrong  JavaScript: JavaScript cannot be evaluated: ")
    assert found().endswith("see systemctl status js.socket")
