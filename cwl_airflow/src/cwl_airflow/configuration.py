"""The options of ``airflow.cfg`` for commands that do not import Airflow, which takes seconds."""

from __future__ import annotations

import configparser
import os


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
