"""The options of ``airflow.cfg`` for commands that do not import Airflow, which takes seconds.

Source: https://airflow.apache.org/docs/apache-airflow/3.3.2/howto/set-config.html
"""

from __future__ import annotations

import configparser
import json
import os
from pathlib import Path

#: In Airflow's home, by the folder's option in the section ``[cwl]``.
FOLDERS = ("tmp_folder", "inputs_folder", "outputs_folder", "pickle_folder")

#: Said to who adds a DAG on one of several hosts that do not share them.
OWN_DAGS_ONLY = (
    "The hosts of this site do not share their DAG files, so that it runs those that its administrator names in "
    "cwl_airflow_site_workflows, and no others"
)


def airflow_home() -> Path:
    """Return the folder of Airflow's own files."""
    return Path(os.path.expandvars(os.path.expanduser(os.environ.get("AIRFLOW_HOME", "~/airflow"))))


def configuration_file() -> Path:
    """Return the path of ``airflow.cfg``, which may not be there."""
    given = os.environ.get("AIRFLOW_CONFIG")
    return Path(os.path.expandvars(os.path.expanduser(given))) if given else airflow_home() / "airflow.cfg"


def read_option(section: str, option: str) -> str:
    """Return one option: of the environment, of ``airflow.cfg``, or else what it is by default, if that is a path.

    :raises configparser.Error: it is not set.
    :raises OSError: the file may not be read.
    """
    given = os.environ.get(f"AIRFLOW__{section}__{option}".upper())
    if given is not None:
        return given
    config = configparser.RawConfigParser()
    file = configuration_file()
    if file.exists():
        with file.open(encoding="utf-8") as stream:
            config.read_file(stream)
    if not config.has_option(section, option) and (default := _default_path(section, option)):
        return default
    return config.get(section, option).replace("%%", "%")


def _default_path(section: str, option: str) -> str | None:
    """Return what an option is where nobody set it, as far as commands have to know."""
    if (section, option) == ("core", "dags_folder"):
        return str(airflow_home() / "dags")
    if (section, option) == ("database", "sql_alchemy_conn"):
        return f"sqlite:///{airflow_home() / 'airflow.db'}"
    if section == "cwl" and option in FOLDERS:
        return str(Path(read_option("core", "dags_folder")).parent / "cwl" / option.removesuffix("_folder"))
    return None


def read_option_if_set(section: str, option: str) -> str | None:
    """Return one option as `read_option` does; none if it is not set."""
    try:
        return read_option(section, option)
    except configparser.Error:
        return None


def administrator_file() -> Path:
    """Return the path of the file with the login of Airflow's administrator."""
    return configuration_file().with_name("administrator.json")


def read_administrator() -> tuple[str, str]:
    """Return name and password of Airflow's administrator, as whom the commands of a host ask Airflow.

    They stand in a file of their own beside ``airflow.cfg``. The environment's ``AIRFLOW_PASSWORD`` wins.

    :raises OSError: there is no such file, or it may not be read.
    """
    login = json.loads(administrator_file().read_text(encoding="utf-8"))
    return str(login["user"]), os.environ.get("AIRFLOW_PASSWORD", str(login["password"]))
