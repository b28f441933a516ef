"""Whether database and broker answer: how the command reads where they are, and what it says."""

from __future__ import annotations

import configparser
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.commands import check

from cwl_airflow import configuration, connectivity


class Cursor:
    """MySQL's client, of which only the version is asked."""

    def execute(self, query: str) -> None:
        """Take the question."""
        assert query == "SELECT VERSION()"

    def fetchone(self) -> tuple[str]:
        """Answer it."""
        return ("9.7.4",)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return how MySQL's client was told to connect."""
    made: list[dict[str, Any]] = []

    def connect(**arguments: Any) -> Any:
        made.append(arguments)
        if arguments["host"] == "away":
            raise OSError("Can't connect to server on 'away'")
        return types.SimpleNamespace(cursor=Cursor)

    monkeypatch.setitem(sys.modules, "MySQLdb", types.SimpleNamespace(connect=connect))  # type: ignore[arg-type]
    return made


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_file: None) -> Any:
    """Return a function that writes ``airflow.cfg`` with the URL of a database."""

    def write(url: str) -> None:
        (tmp_path / "airflow.cfg").write_text(
            f"[database]\nsql_alchemy_conn = {url.replace('%', '%%')}\n", encoding="utf-8"
        )
        monkeypatch.setenv("AIRFLOW_CONFIG", str(tmp_path / "airflow.cfg"))

    return write


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        (
            "mysql+mysqldb://airflow:p%40s%2Fs%3A%25@db:3307/airflow?charset=utf8",
            {"host": "db", "port": 3307, "user": "airflow", "password": "p@s/s:%", "database": "airflow"}
            | {"charset": "utf8"},
        ),
        (
            "mysql://db/airflow",
            {"host": "db", "port": 3306, "user": "", "password": "", "database": "airflow", "charset": "utf8mb4"},
        ),
        (
            "mysql://a:b@[2001:db8::1]:3306",
            {"host": "2001:db8::1", "port": 3306, "user": "a", "password": "b", "database": "", "charset": "utf8mb4"},
        ),
    ],
)
def test_the_database_is_that_of_the_url(
    configure: Any, connections: list[dict[str, Any]], url: str, arguments: dict[str, Any]
) -> None:
    configure(url)
    answer = connectivity.check_database(7)
    assert connections == [{**arguments, "connect_timeout": 7}]
    assert answer == f"{arguments['host']}:{arguments['port']} answers, version 9.7.4"


def test_the_command_says_who_answers(
    configure: Any, connections: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    configure("mysql://db/airflow")
    assert check.main(["sql", "--timeout", "3"]) == 0
    assert capsys.readouterr().out == "sql: db:3306 answers, version 9.7.4\n"
    assert connections[0]["connect_timeout"] == 3


def test_one_that_does_not_answer_is_a_failure_and_the_others_are_tried(
    configure: Any,
    connections: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("mysql://away/airflow")
    monkeypatch.setitem(check.CHECKS, "amqp", lambda timeout: f"waited {timeout}")
    assert check.main(["sql", "amqp"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "sql: Can't connect to server on 'away'\n"
    assert shown.out == "amqp: waited 10\n"


def test_an_option_that_is_not_set(configure: Any) -> None:
    configure("mysql://db/airflow")
    with pytest.raises(configparser.Error):
        configuration.read_option("database", "none")
    assert configuration.read_option_if_set("none", "none") is None
    assert configuration.read_option_if_set("database", "sql_alchemy_conn") == "mysql://db/airflow"


def test_another_database_is_asked_as_sqlalchemy_does(configure: Any, tmp_path: Path) -> None:
    file = tmp_path / "airflow.db"
    configure(f"sqlite:///{file}")
    with pytest.raises(FileNotFoundError, match=str(file)):
        connectivity.check_database(1)
    assert not file.exists()
    file.touch()
    assert connectivity.check_database(1).startswith(f"sqlite:///{file} answers, version 3.")


@pytest.mark.parametrize(
    "name", ["main", "check", "images", "receiver", "run", "stop", "tidy", "trigger", "reports", "verify"]
)
def test_no_command_loads_airflow_before_it_has_read_its_arguments(name: str) -> None:
    code = f"""
import sys
try:
    from cwl_airflow.commands.{name} import main
    main(["--help"])
except SystemExit:
    print([module for module in sys.modules if module.split(".")[0] == "airflow"])
"""
    environment = {"PYTHONPATH": ":".join(sys.path)}
    shown = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert shown.startswith("usage: ")
    assert shown.splitlines()[-1] == "[]"
