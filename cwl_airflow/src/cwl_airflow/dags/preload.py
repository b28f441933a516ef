"""What the tasks of a worker need, loaded before there are tasks."""

from __future__ import annotations

import gc
import importlib
import logging

#: Of Airflow's own, what each task imports in its own process if nobody did before.
AIRFLOW = (
    "airflow.cli.commands.task_command",
    "airflow.decorators",
    "airflow.jobs.local_task_job_runner",
    "airflow.models.dagbag",
    "airflow.models.mappedoperator",
    "airflow.task.task_runner.standard_task_runner",
    "airflow.utils.log.file_task_handler",
)


def preload_engine() -> None:
    """Import the engine and read the schemas of CWL."""
    try:
        from cwltool.process import get_schema
        from sqlalchemy.orm import configure_mappers

        from ..runs import executor, inputs, outputs, steps  # noqa: F401
        from . import dag  # noqa: F401

        for version in ("v1.0", "v1.1", "v1.2"):
            get_schema(version)
        for name in AIRFLOW:
            importlib.import_module(name)
        # A fifth of what a task took (measured): relating the tables of Airflow's models to each other.
        configure_mappers()
    except Exception:  # the worker can do without
        logging.getLogger(__name__).exception("The engine could not be loaded beforehand")
    # What is shared with the tasks' processes stays shared if the collector never touches it.
    gc.collect()
    gc.freeze()
