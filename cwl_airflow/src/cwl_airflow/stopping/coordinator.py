"""Stop a run on whichever workers it is, and remove it."""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .celery_command import COMMAND

#: For how long workers may take to answer, in seconds.
ANSWER = 3
#: What a worker may take longer than it was given, in seconds: an engine of containers is asked to the end.
MARGIN = 15
#: Seconds between two questions.
PAUSE = 0.3
#: How many questions a worker may leave unanswered before it counts as gone.
PATIENCE = 3

Answers = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """A task that began."""

    name: str
    #: Its worker's.
    host: str
    #: Of the process that waits for it.
    job_id: int | None


@dataclass(frozen=True)
class Rows:
    """What the rows of a run say."""

    #: Tasks that began and did not succeed; something of them may be left.
    unsure: list[Task]
    #: The job or the path of its file, as far as it names folders.
    job: Any
    #: Paths of the files with the reports of its tasks.
    reports: list[str]


class Database(Protocol):
    """Where the rows are: `rows`."""

    def mark_failed(self, dag_id: str, run_id: str, /) -> Rows | None:
        """Mark what has not ended of a run as failed; none if there is no such run."""

    def ended(self, job_ids: Collection[int], /) -> set[int]:
        """Return the jobs that have ended."""

    def remove(self, dag_id: str, run_id: str, /) -> None:
        """Remove the rows of a run."""


@dataclass(frozen=True)
class Times:
    """For how long the tasks of a run may end themselves, and are then killed."""

    began: float
    #: In seconds.
    grace: float

    def left(self, graces: int) -> float:
        """Return how much is left of so many times the grace, in seconds."""
        return max(self.began + graces * self.grace - time.monotonic(), 0)


class NotStopped(Exception):
    """Something of a run is still there; the message names what, and where."""


def stop_run(dag_id: str, run_id: str, gone: Collection[str] = ()) -> bool:
    """Stop a run, and remove its intermediate data and its rows. Its outputs, its logs and its DAG stay.

    Tasks may end themselves for ``[core] killed_task_cleanup_time``; then they are killed. What has a lot of data takes
    longer: removing it is given twice that time as well.

    :param gone: names of hosts that will never answer, and run nothing any more.
    :returns: whether there was such a run.
    :raises NotStopped: something is still alive after twice that time, or the data could not be removed. The run is
        marked as failed then, and may be stopped again.
    """
    from airflow.configuration import conf

    from . import database as rows

    grace = conf.getfloat("core", "killed_task_cleanup_time")
    return _stop(rows, dag_id, run_id, gone, Times(time.monotonic(), grace))


def _stop(database: Database, dag_id: str, run_id: str, gone: Collection[str], times: Times) -> bool:
    known, unsure = False, set[Task]()
    while True:
        # Each time: the scheduler may have been about to start a task.
        found = database.mark_failed(dag_id, run_id)
        if found is None:
            return known
        known = True
        unsure.update(found.unsure)
        request = {"run": {"dag_id": dag_id, "run_id": run_id, "job": found.job, "reports": found.reports}}
        left = _try(database, request, unsure, gone, times)
        if not left:
            database.remove(dag_id, run_id)
            return True
        if times.left(2) <= 0:
            raise NotStopped(f"Of run '{run_id}' of DAG '{dag_id}' there is still: {'; '.join(left)}.")
        time.sleep(PAUSE)


def _try(
    database: Database, request: Mapping[str, Any], unsure: set[Task], gone: Collection[str], times: Times
) -> list[str]:
    """Stop a run and remove its data.

    :param request: which run.
    :param unsure: the tasks that began and did not succeed, also those of an earlier try to stop it.
    :returns: what is still there.
    """
    end = {"grace": times.left(1), "limit": times.left(2)}
    answers = _ask({**request, "end": end}, time.monotonic() + times.left(2) + MARGIN)
    # A worker that is being stopped answers no more, but its tasks end with their run.
    heard = {*gone, *(answer["host"] for answer in answers.values())}
    silent = [task for task in unsure if task.host not in heard]
    over = database.ended({task.job_id for task in silent if task.job_id is not None}) if silent else set()
    missing = {task for task in silent if task.job_id not in over}
    if not answers:  # nobody can remove the data
        missing.update(unsure)
    left = unanswered(missing) + still_there(answers)
    if left or not answers:
        return left
    name = min(answers)
    return still_there(_ask({**request, "gone": list(gone)}, time.monotonic() + 2 * times.grace, only=name))


def unanswered(tasks: Iterable[Task]) -> list[str]:
    """Name tasks whose workers do not answer."""
    return sorted({f"task {task.name} on {task.host}, whose worker does not answer" for task in tasks})


def still_there(answers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Name what workers say is still there; one that does not say has not ended its work."""
    left: list[str] = []
    for answer in answers.values():
        said = answer["left"]
        left += [f"something on {answer['host']}, whose worker is still at it"] if said is None else said
    return left


def _ask(request: Mapping[str, Any], until: float, only: str | None = None) -> Answers:
    """Have workers do something, and return what they say when they have done it.

    :param until: when to ask no more, by `time.monotonic`.
    :param only: ask only this worker.
    :raises NotStopped: they cannot be asked.
    """
    key = uuid.uuid4().hex
    answers: Answers = {only: {"host": only, "left": None}} if only else {}
    missed: Counter[str] = Counter()
    while True:
        # To the first question nobody knows how many will answer.
        replies = _broadcast({"key": key, "request": request}, [only] if only else None, len(answers) or None)
        answers |= replies
        if all(answer["left"] is not None for answer in answers.values()) or time.monotonic() >= until:
            return answers
        missed.update(answers.keys() - replies.keys())
        if not only:
            answers = {worker: answer for worker, answer in answers.items() if missed[worker] <= PATIENCE}
        time.sleep(PAUSE)


def _broadcast(arguments: Mapping[str, Any], destination: list[str] | None, limit: int | None) -> Answers:
    """Ask workers a question, and return their answers.

    :param destination: those that are asked; all by default.
    :param limit: how many answers to wait for.
    :raises NotStopped: the broker cannot be reached, or a worker does not know what to do.
    """
    from airflow.providers.celery.executors.celery_executor_utils import app
    from amqp.exceptions import AMQPError
    from kombu.exceptions import KombuError

    answers: Answers = {}
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=ANSWER)
            for reply in app.control.broadcast(
                COMMAND,
                arguments=arguments,
                destination=destination,
                connection=connection,
                reply=True,
                timeout=ANSWER,
                limit=limit,
            ):
                answers |= reply
    except (OSError, KombuError, AMQPError) as error:
        raise NotStopped(f"The broker cannot be reached: {error}. The run is marked as failed: try again.") from error
    for worker, answer in answers.items():
        if "host" not in answer:  # what Celery says of an error
            raise NotStopped(f"Worker {worker} cannot stop a run: {answer}. The run is marked as failed.")
    return answers


def main(argv: list[str] | None = None) -> int:
    """Stop a run; exit code 1 when something of it is still there."""
    parser = argparse.ArgumentParser(
        description="Stop a run: end its processes and containers on all workers, remove its data and its rows."
    )
    parser.add_argument("dag", help="DAG")
    parser.add_argument("run", help="name of the run (run_id)")
    parser.add_argument(
        "--gone",
        action="append",
        default=[],
        metavar="HOST",
        help="host that is gone for good, named as the error names it: do not wait for its worker (may be repeated)",
    )
    options = parser.parse_args(argv)
    try:
        known = stop_run(options.dag, options.run, options.gone)
    except NotStopped as error:
        print(error, file=sys.stderr)
        return 1
    print("Stopped and removed." if known else f"There is no run '{options.run}' of DAG '{options.dag}'.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
