"""The one place that knows the quirks of cwl-airflow, of its cwltool and of Airflow.

Airflow loads this module in every process through the entry point ``airflow.policy``. It imports
none of what it adapts: each function runs when its module is first imported by somebody else.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from wrapt import when_imported, wrap_function_wrapper

# Alembic announces its own plug-ins before the output of every `airflow` command.
logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)

#: Modules whose place is taken by others: DAG files and upstream's code import the names on the left.
MOVED = {
    "cwl_airflow.extensions.cwldag": "cwl_airflow_extras.engine.dag",
    "cwl_airflow.extensions.operators.cwljobdispatcher": "cwl_airflow_extras.engine.operators",
    "cwl_airflow.extensions.operators.cwlstepoperator": "cwl_airflow_extras.engine.operators",
    "cwl_airflow.extensions.operators.cwljobgatherer": "cwl_airflow_extras.engine.operators",
    "cwltool.expression": "cwl_utils.expression",
}


class _Moved(MetaPathFinder, Loader):
    """Gives a module the names of the one that took its place."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        names = vars(importlib.import_module(MOVED[module.__name__]))
        vars(module).update({name: value for name, value in names.items() if not name.startswith("__")})


if not any(type(finder).__name__ == _Moved.__name__ for finder in sys.meta_path):
    sys.meta_path.insert(0, _Moved())


@when_imported("airflow.models.dagrun")
def _note_callers(module: Any) -> None:
    """Note in each run who started it."""
    from sqlalchemy import event

    from .callers import note

    event.listen(module.DagRun, "init", note)


@when_imported("celery.signals")
def _preload_in_worker(module: Any) -> None:
    """Load the engine once in the worker's first process: those of its tasks inherit it."""

    def preload(**_: Any) -> None:
        from .engine.preload import preload

        preload()

    module.worker_init.connect(preload, weak=False)


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
    from .stopping import worker

    module.control_command(name=worker.COMMAND)(worker.answer)


@when_imported("airflow.dag_processing.manager")
def _preload_in_dag_processor(module: Any) -> None:
    """Load the engine once in the process that starts one for each DAG file."""

    def start(wrapped: Any, _instance: Any, arguments: Any, keywords: Any) -> Any:
        from .engine.preload import preload

        preload()
        return wrapped(*arguments, **keywords)

    wrap_function_wrapper(module, "DagFileProcessorManager.start", start)


@when_imported("cwl_airflow.utilities.cwl")
def _adapt_utilities(module: Any) -> None:
    """Keep upstream from deleting other people's DAG files, and give tasks of the user's own our engine's data."""
    from .engine import upstream
    from .stopping import stop_run

    def clean_up(dag_id: str, run_id: str, dags_folder: Any = None, kill_timeout: Any = None) -> None:
        """Stand in for ``clean_up_dag_run``, which only looks at processes of its own host."""
        stop_run(dag_id, run_id)

    def keep_dags(cwl_id: str, dags_folder: str) -> None:
        """Stand in for ``remove_outdated_dags``, which deletes DAG files whose name contains ``cwl_id``."""

    module.clean_up_dag_run = clean_up
    module.remove_outdated_dags = keep_dags
    module.collect_reports = upstream.collect_reports
    module.relocate_outputs = upstream.relocate_outputs


@when_imported("cwl_airflow.utilities.report")
def _post_nothing(module: Any) -> None:
    """Keep upstream from reporting: it does not sign, and its tasks wait for the receiver."""

    def nothing(*_: Any, **__: Any) -> None:
        """Stand in for what posts reports."""

    for name in ("post_progress", "post_results", "post_status", "resend_reports"):
        setattr(module, name, nothing)


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
