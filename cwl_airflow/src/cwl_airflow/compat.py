"""The one place that knows what is peculiar to a release of Airflow.

Airflow loads this module in every process through the entry point ``airflow.policy``. It imports none of what it
adapts: each function runs when its module is first imported by somebody else. They connect to what Celery and
SQLAlchemy offer for that, and do in a process what has to be done before anything else. What one changes, it says why.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

from wrapt import when_imported, wrap_function_wrapper

#: Seconds between two looks of a supervisor whose task's process has closed its sockets.
SHORTLY = 0.01


@when_imported("airflow.models.dagrun")
def _prepare_runs(module: Any) -> None:
    """Refuse runs whose form lacks an input or names what they may not read, note who starts one, start it at once."""
    from sqlalchemy import event

    from .callers import note_caller
    from .dags.form_check import check_form, check_places

    def prepare(_run: Any, _arguments: Any, values: dict[str, Any]) -> None:
        job = check_form(values)
        note_caller(values, of_form=job is not None)
        check_places(job or {}, values)
        start_in_this_second(values)

    event.listen(module.DagRun, "init", prepare)


def start_in_this_second(values: dict[str, Any]) -> None:
    """Let a run be due since the second in which it is made, as MySQL's ``NOW()`` knows no parts of one.

    Schedulers look for the runs that are due by then, so that a run waited for the next second.

    :param values: of a run's columns, by name.
    """
    if due := values.get("run_after"):
        values["run_after"] = due.replace(microsecond=0)


@when_imported("airflow.jobs.job")
def _watch_jobs(module: Any) -> None:
    """Let systemd know that a scheduler, a triggerer or a DAG processor is alive, whenever Airflow's database does."""
    from sqlalchemy import event

    from .watchdog import tell_alive

    event.listen(module.Job.latest_heartbeat, "set", tell_alive)


@when_imported("celery.signals")
def _prepare_worker(module: Any) -> None:
    """Get a worker ready for tasks, and end what they leave.

    Its first process loads the engine once, which all tasks inherit, serves the logs, removes the containers of one
    that was killed, and looks whether the broker has tasks for it, and whether it is cut off from its site.
    """

    def prepare_worker(sender: Any, **_: Any) -> None:
        from airflow.configuration import conf

        from .consumers import ConsumerWatch
        from .dags.preload import preload_engine
        from .dags.settings import CWLSettings
        from .runs.leftovers import remove_left_containers
        from .watchdog import keep_telling
        from .worker_logs import start_log_server

        keep_telling()
        start_log_server()
        settings = CWLSettings.read({})
        if conf.get("cwl", "host_address", fallback=""):
            from .fencing import Fence  # not where nothing asks for it: it loads the database's models

            Fence.of_site(settings.engine, settings.tmp_folder).watch()
        remove_left_containers(settings.tmp_folder, settings.engine)
        preload_engine()
        watch = ConsumerWatch(sender)
        module.worker_ready.connect(lambda sender, **_: watch.begin(sender), weak=False)
        module.worker_shutting_down.connect(lambda **_: watch.end(), weak=False)

    def prepare_process(**_: Any) -> None:
        from .runs.leftovers import supervise_tasks

        supervise_tasks()
        # Not in a pool without processes, where others' tasks are in this one.
        module.task_postrun.connect(tidy_process, weak=False)

    def tidy_process(**_: Any) -> None:
        from .dags.settings import CWLSettings
        from .runs.leftovers import end_leftovers

        end_leftovers(CWLSettings.read({}).engine)

    module.worker_init.connect(prepare_worker, weak=False)
    module.worker_process_init.connect(prepare_process, weak=False)


@when_imported("airflow.providers.celery.cli.celery_command")
def _hide_process(_module: Any) -> None:
    """Keep environment and memory of a worker and its tasks from the tools of steps, which run as the same user.

    All that is forked inherits it; a program that is started does not.

    Source: PR_SET_DUMPABLE in prctl(2).
    """
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)


@when_imported("airflow.sdk.execution_time.supervisor")
def _see_the_end_of_tasks(module: Any) -> None:
    """Let a supervisor see at once that its task has ended.

    It waits for what the task's process writes, and looks for its end afterwards. The process closes its sockets a
    moment before it is gone: then there is nothing left to wait for, which Airflow does for ``[workers]
    min_heartbeat_interval``, 5 s. One task of eight kept its place in the worker for so long. Only this method waits.
    """

    def look_shortly(
        method: Callable[..., Any], supervisor: Any, arguments: tuple[Any, ...], values: Mapping[str, Any]
    ) -> Any:
        if "max_wait_time" in values and not supervisor._open_sockets:
            values = {**values, "max_wait_time": min(values["max_wait_time"], SHORTLY)}
        return method(*arguments, **values)

    wrap_function_wrapper(module, "WatchedSubprocess._service_subprocess", look_shortly)


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
