"""What the tasks of a worker need, loaded before there are tasks."""

from __future__ import annotations

import gc
import importlib
import logging

#: Of Airflow's own, what each task or each reading of a DAG file imports in its own process if nobody did before.
AIRFLOW = (
    "airflow.dag_processing.bundles.manager",
    "airflow.dag_processing.dagbag",
    "airflow.sdk.definitions.mappedoperator",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
)


def preload_engine() -> None:
    """Import the engine and read the schemas of CWL."""
    try:
        from cwltool.process import get_schema
        from cwltool.update import INTERNAL_VERSION

        from ..runs import executor, inputs, outputs, steps  # noqa: F401
        from . import dag  # noqa: F401

        for version in ("v1.0", "v1.1", "v1.2", INTERNAL_VERSION):  # the last one is what cwltool makes of the others
            get_schema(version)
        for name in AIRFLOW:
            importlib.import_module(name)
    except Exception:  # the worker can do without
        logging.getLogger(__name__).exception("The engine could not be loaded beforehand")
    # What is shared with the tasks' processes stays shared if the collector never touches it.
    gc.collect()
    gc.freeze()
