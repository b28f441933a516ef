"""Celery's executor, with which a scheduler rests while there is nothing to run.

Airflow's scheduler looks for work again and again, with a dozen statements each time, and knows one pause only: a short
one keeps it busy all night, a long one is lost between any two steps. While no run is active this one looks for active
runs only, which is one statement.

It is named in ``[core] executor``.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from airflow.models import DagModel, DagRun
from airflow.providers.celery.executors.celery_executor import CeleryExecutor
from airflow.settings import get_engine
from airflow.utils.state import DagRunState
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

#: For how many seconds a scheduler rests at most: DAGs with a schedule and its own clocks wait for that.
LONGEST = 5.0
#: Seconds between two looks.
PAUSE = 0.2
#: What a scheduler looks at: not the runs of a DAG that is paused, or gone.
_ACTIVE = (
    select(DagRun.id)
    .join(DagModel, DagModel.dag_id == DagRun.dag_id)
    .where(DagRun._state.in_([DagRunState.QUEUED, DagRunState.RUNNING]))
    .where(DagModel.is_paused.is_(False), DagModel.is_stale.is_(False))
    .limit(1)
)


class RestingCeleryExecutor(CeleryExecutor):
    """Runs tasks as Celery's executor does."""

    def heartbeat(self) -> None:
        """Do what is to be done in each look of the scheduler, and rest if there is nothing."""
        super().heartbeat()
        waiting: tuple[Any, ...] = (self.queued_tasks, self.queued_callbacks, self.queued_connection_tests)
        if not any((*waiting, self.running, self.event_buffer)):
            wait_for_runs(LONGEST)


def wait_for_runs(seconds: float) -> None:
    """Wait until a run is active, or the database does not answer.

    :param seconds: for how long at most.
    """
    end = time.monotonic() + seconds
    with suppress(DBAPIError), get_engine().connect() as opened:  # type: ignore[no-untyped-call]  # Airflow's
        connection = opened.execution_options(isolation_level="AUTOCOMMIT")
        while connection.execute(_ACTIVE).first() is None and time.monotonic() < end:
            time.sleep(PAUSE)
