"""The one place that knows what is peculiar to a release of Airflow.

Airflow loads this module in every process through the entry point ``airflow.policy``. It imports none of what it
adapts: each function runs when its module is first imported by somebody else.
"""

from __future__ import annotations

import ctypes
import logging
from typing import Any

from wrapt import when_imported, wrap_function_wrapper

# Alembic announces its own plug-ins before the output of every `airflow` command.
logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)


@when_imported("airflow.models.dagrun")
def _note_callers(module: Any) -> None:
    """Note in each run who started it."""
    from sqlalchemy import event

    from .callers import note_caller

    event.listen(module.DagRun, "init", note_caller)


@when_imported("celery.signals")
def _preload_in_worker(module: Any) -> None:
    """Load the engine once in the worker's first process: those of its tasks inherit it."""

    def preload_engine(**_: Any) -> None:
        from .dags.preload import preload_engine

        preload_engine()

    module.worker_init.connect(preload_engine, weak=False)


@when_imported("airflow.providers.celery.cli.celery_command")
def _hide_process(_module: Any) -> None:
    """Keep environment and memory of a worker and its tasks from the tools of steps, which run as the same user.

    All that is forked inherits it; a program that is started does not.

    Source: PR_SET_DUMPABLE in prctl(2).
    """
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)


@when_imported("celery.worker.control")
def _stop_runs(module: Any) -> None:
    """Let workers be asked to stop a run."""
    from .stopping.celery_command import answer_request
    from .stopping.model import COMMAND

    module.control_command(name=COMMAND)(answer_request)


@when_imported("airflow.dag_processing.manager")
def _preload_in_dag_processor(module: Any) -> None:
    """Load the engine once in the process that starts one for each DAG file."""

    def start(wrapped: Any, _instance: Any, arguments: Any, keywords: Any) -> Any:
        from .dags.preload import preload_engine

        preload_engine()
        return wrapped(*arguments, **keywords)

    wrap_function_wrapper(module, "DagFileProcessorManager.start", start)


@when_imported("airflow.utils.serve_logs")
def _bind_worker_logs(module: Any) -> None:
    """Let ``[logging] worker_log_server_host`` choose the address: Airflow 2 binds all of them."""
    option = module.GunicornOption

    def bound_option(key: str, value: Any) -> Any:
        if key == "bind":
            host = module.conf.get("logging", "worker_log_server_host", fallback="127.0.0.1")
            value = f"{host}:{str(value).rpartition(':')[2]}"
        return option(key, value)

    module.GunicornOption = bound_option
