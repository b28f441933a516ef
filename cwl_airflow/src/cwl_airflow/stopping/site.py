"""Stop a run of this site: with Airflow's database and the workers of its Celery."""

from __future__ import annotations

import time
from collections.abc import Collection

from airflow.configuration import conf

from . import database
from .coordinator import RunStopper
from .model import Deadline, NotStopped


def stop_run(dag_id: str, run_id: str, gone_hosts: Collection[str] = ()) -> bool:
    """Stop a run, and remove its intermediate data and its rows. Its outputs, its logs and its DAG stay.

    Airflow's supervisors give their tasks 5 s to end themselves; what is left after ``[core]
    killed_task_cleanup_time`` is killed. What has a lot of data takes longer: removing it is given twice that time as
    well.

    :param gone_hosts: names of hosts that will never answer, and run nothing any more.
    :returns: whether there was such a run.
    :raises NotStopped: something is still alive after twice that time, or the data could not be removed. The run is
        marked as failed then, and may be stopped again.
    """
    # Only now: it makes Celery's app, which takes a second, and the CWL API seldom needs it.
    try:
        from airflow.providers.celery.executors.celery_executor_utils import app

        from .workers import CeleryWorkers
    except ImportError as error:
        raise NotStopped(
            f"Runs are stopped on Celery's workers, and this Airflow has no Celery ({error}): mark the run as failed."
        ) from error

    deadline = Deadline(time.monotonic(), conf.getfloat("core", "killed_task_cleanup_time"))
    return RunStopper(database, CeleryWorkers(app)).stop(dag_id, run_id, gone_hosts, deadline)
