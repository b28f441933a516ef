"""Where commands that do not load Airflow find its options: as Airflow itself does."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

import pytest
from cwl_airflow.configuration import read_option, read_option_if_set

from cwl_airflow import configuration

pytestmark = pytest.mark.usefixtures("only_file")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_HOME", "~/own")
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def test_the_file_is_in_airflows_home_unless_it_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert configuration.configuration_file() == home / "airflow.cfg"
    monkeypatch.setenv("AIRFLOW_CONFIG", "$HOME/other.cfg")
    assert configuration.configuration_file() == home.parent / "other.cfg"
    monkeypatch.delenv("AIRFLOW_HOME")
    assert configuration.airflow_home() == home.parent / "airflow"


def test_the_environment_wins_over_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "airflow.cfg").write_text("[cwl]\ntmp_folder = /a%%b\n", encoding="utf-8")
    assert read_option("cwl", "tmp_folder") == "/a%b"
    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", "/c%%d")
    assert read_option("cwl", "tmp_folder") == "/c%%d"


@pytest.mark.parametrize("written", [True, False])
def test_paths_that_nobody_set(home: Path, monkeypatch: pytest.MonkeyPatch, written: bool) -> None:
    if written:
        (home / "airflow.cfg").write_text("[core]\n", encoding="utf-8")
    assert read_option("core", "dags_folder") == f"{home}/dags"
    assert read_option("database", "sql_alchemy_conn") == f"sqlite:///{home}/airflow.db"
    assert read_option("cwl", "outputs_folder") == f"{home}/cwl/outputs"
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", "/data/dags")
    assert read_option("cwl", "outputs_folder") == "/data/cwl/outputs"


def test_what_else_is_not_set_is_said(home: Path) -> None:
    with pytest.raises(configparser.Error):
        read_option("cwl", "data_paths")
    assert read_option_if_set("core", "fernet_key") is None


def test_the_administrators_login_is_beside_the_file(home: Path) -> None:
    with pytest.raises(FileNotFoundError):
        configuration.read_administrator()
    (home / "administrator.json").write_text(json.dumps({"user": "a", "password": "b"}), encoding="utf-8")
    assert configuration.read_administrator() == ("a", "b")
