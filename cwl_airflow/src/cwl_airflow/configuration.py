"""The options of ``airflow.cfg`` for commands that do not import Airflow, which takes seconds."""

from __future__ import annotations

import configparser
import json
import os
from pathlib import Path


def read_option(section: str, option: str) -> str:
    """Return one option of ``airflow.cfg``.

    :raises configparser.Error: it is not set.
    """
    config = configparser.RawConfigParser()
    with open(os.environ["AIRFLOW_CONFIG"], encoding="utf-8") as stream:
        config.read_file(stream)
    return config.get(section, option).replace("%%", "%")


def read_option_if_set(section: str, option: str) -> str | None:
    """Return one option of ``airflow.cfg``; none if it is not set."""
    try:
        return read_option(section, option)
    except configparser.Error:
        return None


def read_administrator() -> tuple[str, str]:
    """Return name and password of Airflow's administrator, as whom the commands of a host ask Airflow.

    They stand in a file of their own beside ``airflow.cfg``. The environment's ``AIRFLOW_PASSWORD`` wins.

    :raises OSError: there is no such file, or it may not be read.
    """
    file = Path(os.environ["AIRFLOW_CONFIG"]).with_name("administrator.json")
    login = json.loads(file.read_text(encoding="utf-8"))
    return str(login["user"]), os.environ.get("AIRFLOW_PASSWORD", str(login["password"]))
