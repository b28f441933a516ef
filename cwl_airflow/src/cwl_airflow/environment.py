"""The secrets of the host: a worker has them in its environment, as options of Airflow, and shows it to nobody."""

from __future__ import annotations

import os

#: Of the variables that Airflow reads instead of its file: this, the section, two underscores, and the option.
PREFIX = "AIRFLOW__"


def environment_without_options() -> dict[str, str]:
    """Return the environment for a program that needs none of Airflow's options: others can look into programs."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def leave_environment() -> None:
    """Move Airflow's options from the environment into the configuration in memory.

    What this process starts from now on inherits none of them: the container engine, Node.js, a tool.
    """
    from airflow.configuration import conf
    from airflow.sdk import conf as conf_of_tasks

    for name in os.environ.keys() - environment_without_options().keys():
        section, _, option = name.removeprefix(PREFIX).lower().partition("__")
        value = os.environ.pop(name).replace("%", "%%")
        for parser in (conf, conf_of_tasks):
            parser.read_dict({section: {option: value}})
