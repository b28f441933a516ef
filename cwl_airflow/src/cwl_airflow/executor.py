"""Celery's executor, with which a scheduler looks for work when there is some.

Airflow's scheduler looks again and again, with a dozen statements each time, and knows one pause only: a short one
keeps it busy all night, a long one is lost between any two steps. This one asks with one statement whether there is
anything new: often while a run is active, seldom while none is.

It also keeps what the broker does not take for later, hands over what another scheduler may have kept, and takes no
task for lost whose heartbeats cannot arrive.

It is named in ``[core] executor``.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from airflow.exceptions import AirflowTaskTimeout
from airflow.executors.workloads import ExecuteTask
from airflow.models import DagModel, DagRun, TaskInstance
from airflow.providers.celery.executors.celery_executor import CeleryExecutor
from airflow.providers.celery.executors.celery_executor_utils import ExceptionWithTraceback
from airflow.settings import get_engine
from airflow.utils.state import DagRunState, State, TaskInstanceState
from celery.states import PENDING
from kombu.exceptions import OperationalError
from sqlalchemy import and_, func, select, true
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import object_session

from .heartbeats import Outages, renew_heartbeats

log = logging.getLogger(__name__)

#: A scheduler looks at the runs of a DAG that is not paused, and not gone.
_RUNS = (
    select(func.count().label("number"), func.max(DagRun.updated_at).label("last"))
    .join(DagModel, DagModel.dag_id == DagRun.dag_id)
    .where(DagModel.is_paused.is_(False), DagModel.is_stale.is_(False))
)
_RUNNING = _RUNS.where(DagRun._state == DagRunState.RUNNING)
#: What waits for a scheduler: runs to be started, runs that it has not looked at, tasks that have ended since it did.
_WORK = (
    _RUNS.where(DagRun._state == DagRunState.QUEUED).subquery(),
    _RUNNING.where(DagRun.last_scheduling_decision.is_(None)).subquery(),
    _RUNNING.with_only_columns(func.count().label("number"), func.max(TaskInstance.updated_at).label("last"))
    .join(TaskInstance, and_(TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id))
    .where(TaskInstance.state.in_(State.finished), TaskInstance.updated_at > DagRun.last_scheduling_decision)
    .subquery(),
)
#: How many runs are running, and for each kind of work how much there is and since when.
_QUESTION = select(
    _RUNNING.with_only_columns(func.count()).scalar_subquery(),
    *(column for work in _WORK for column in (work.c.number, work.c.last)),
).select_from(_WORK[0].join(_WORK[1], true()).join(_WORK[2], true()))


@dataclass(frozen=True, order=True)
class Pace:
    """How often a scheduler looks.

    :param longest: seconds after which it looks in any case, for what the question does not notice: a task that is to
        be tried again, a DAG with a schedule, the scheduler's own clocks.
    :param pause: seconds between two questions whether there is anything new, at least.
    """

    longest: float
    pause: float


IDLE, ACTIVE = Pace(longest=5.0, pause=0.2), Pace(longest=1.0, pause=0.02)
#: While Celery has to say that a task has ended before there is room for the next one.
FULL = Pace(longest=0.1, pause=0.1)
#: How many times as long as the question the pause is at least: the database has other things to do.
FACTOR = 4


class RestingCeleryExecutor(CeleryExecutor):
    """Runs tasks as Celery's executor does."""

    _known: tuple[Any, ...] = ()
    _outages: Outages | None = None

    def __init__(self, *arguments: Any, **values: Any) -> None:
        """Take what Celery's executor takes.

        :param arguments: see there.
        :param values: see there.
        """
        super().__init__(*arguments, **values)  # type: ignore[no-untyped-call]  # Airflow's
        self.workload_publish_max_retries = sys.maxsize

    def start(self) -> None:
        """Get ready, when the scheduler starts; it may have been away."""
        super().start()
        renew_heartbeats()
        self._outages = Outages(self.conf.get_mandatory_value("core", "execution_api_server_url"))
        self._outages.watch()

    def heartbeat(self) -> None:
        """Do what is to be done in each look of the scheduler, and rest until there is something new."""
        super().heartbeat()
        if not self.event_buffer:
            self._known = wait_for_work(self._known, self._pace())
        if self._outages:  # what follows is where a scheduler takes tasks for lost
            self._outages.look()

    def try_adopt_task_instances(self, tis: Sequence[TaskInstance]) -> Sequence[TaskInstance]:
        """Take on the tasks of a scheduler that has ended, and return those that cannot be.

        Of one that waits at the broker Celery knows no more than of one that the other scheduler still had, as the
        broker was away. It is handed over once more under its own id: whoever begins it second is told that it runs, as
        when the broker hands it over again itself.
        """
        others = super().try_adopt_task_instances(tis)
        adopted = {result.task_id: (key, result) for key, result in self.workloads.items()}
        queued = {str(ti.external_executor_id): ti for ti in tis if ti.state == TaskInstanceState.QUEUED}
        waiting = {name: ti for name, ti in queued.items() if name in adopted}
        states = self.bulk_state_fetcher.get_many([adopted[name][1] for name in waiting]) if waiting else {}
        for name, ti in waiting.items():
            key, session = adopted[name][0], object_session(ti)
            if states[name][0] != PENDING or session is None or not ti.dag_version_id:  # as the scheduler has it
                continue
            self.running.discard(key)
            del self.workloads[key]
            workload = ExecuteTask.make(ti, generator=self.jwt_generator, sentry_integration=self.sentry_integration)
            self.queue_workload(workload, session=session)
        return others

    def _send_workloads_to_celery(self, workload_tuples_to_send: Sequence[Any]) -> list[Any]:
        """Hand tasks to the broker. What it does not take is handed over in a later look, as after a timeout.

        Celery's executor has it so for timeouts alone, and lets the task fail for good if the broker is away.
        """
        sent: list[Any] = []
        tasks = list(workload_tuples_to_send)
        # The first one alone: each may take as long as `[celery] operation_timeout`, and the scheduler has to go on.
        for part in (tasks[:1], tasks[1:]):
            if any(is_timeout(result) for *_, result in sent):
                sent += [(key, workload, sent[0][2]) for key, workload, *_ in part]
            elif part:
                results = super()._send_workloads_to_celery(part)
                sent += [(key, workload, later_if_away(result)) for key, workload, result in results]
        return sent

    def _pace(self) -> Pace:
        if self.slots_available <= 0:
            return FULL
        busy: tuple[Any, ...] = (self.running, self.queued_tasks, self.queued_callbacks, self.queued_connection_tests)
        return ACTIVE if any(busy) else IDLE


def is_timeout(result: Any) -> bool:
    """Tell whether a task was not handed over in time."""
    return isinstance(result, ExceptionWithTraceback) and isinstance(result.exception, AirflowTaskTimeout)


def later_if_away(result: Any) -> Any:
    """Return the result of handing over a task; a timeout in place of an error that says that the broker is away."""
    if isinstance(result, ExceptionWithTraceback) and isinstance(result.exception, (OperationalError, OSError)):
        log.warning("The broker does not take a task, which waits: %s", result.exception)
        return ExceptionWithTraceback(AirflowTaskTimeout(str(result.exception)), result.traceback)
    return result


def wait_for_work(known: tuple[Any, ...], pace: Pace) -> tuple[Any, ...]:
    """Wait until there is something new for a scheduler, or the database does not answer.

    :param known: what there was when the scheduler was woken before; that alone does not wake it again.
    :param pace: how often to look; at least at that of running runs while there are some.
    :returns: what there is now.
    """
    began = time.monotonic()
    with suppress(DBAPIError), get_engine().connect() as opened:  # type: ignore[no-untyped-call]  # Airflow's
        connection = opened.execution_options(isolation_level="AUTOCOMMIT")
        while True:
            asked = time.monotonic()
            running, *work = connection.execute(_QUESTION).one()
            if running:
                pace = min(pace, ACTIVE)
            if (any(work) and tuple(work) != known) or asked - began >= pace.longest:
                return tuple(work)
            known = tuple(work)
            time.sleep(max(pace.pause, FACTOR * (time.monotonic() - asked)))
    return known
