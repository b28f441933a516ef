"""The one place that knows what is peculiar to a release of Airflow.

Airflow loads this module in every process through the entry point ``airflow.policy``. It imports none of what it
adapts: each function runs when its module is first imported by somebody else. None of them changes what it finds there;
they connect to what Celery and SQLAlchemy offer for that, and do in a process what has to be done before anything else.
"""

from __future__ import annotations

import ctypes
from typing import Any

from wrapt import when_imported


@when_imported("airflow.models.dagrun")
def _note_callers(module: Any) -> None:
    """Note in each run who started it."""
    from sqlalchemy import event

    from .callers import note_caller

    event.listen(module.DagRun, "init", note_caller)


@when_imported("celery.signals")
def _prepare_worker(module: Any) -> None:
    """Load the engine once in the worker's first process, whose tasks inherit it, and serve the logs beside it."""

    def prepare_worker(**_: Any) -> None:
        from .dags.preload import preload_engine
        from .worker_logs import start_log_server

        start_log_server()
        preload_engine()

    module.worker_init.connect(prepare_worker, weak=False)


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
def _preload_in_dag_processor(_module: Any) -> None:
    """Load the engine once in the process that starts one for each DAG file; no other imports this."""
    from .dags.preload import preload_engine

    preload_engine()
