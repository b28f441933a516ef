"""Stop a run on whichever workers it is, and remove it."""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .worker import COMMAND

if TYPE_CHECKING:
    from .rows import Rows, Task

#: For how long workers may take to answer, in seconds.
ANSWER = 3
#: What a worker may take longer than it was given, in seconds: an engine of containers is asked to the end.
MARGIN = 15
#: Seconds between two questions.
PAUSE = 0.3

Answers = dict[str, dict[str, Any]]


class NotStopped(Exception):
    """Something of a run is still there; the message names what, and where."""


def stop_run(dag_id: str, run_id: str) -> bool:
    """Stop a run, and remove its intermediate data and its rows. Its outputs, its logs and its DAG stay.

    Tasks may end themselves for ``[core] killed_task_cleanup_time``; then they are killed.

    :returns: whether there was such a run.
    :raises NotStopped: something is still alive after twice that time, or the data could not be removed. The run is
        marked as failed then, and may be stopped again.
    """
    from airflow.configuration import conf

    from . import rows

    grace = conf.getfloat("core", "killed_task_cleanup_time")
    deadline = time.monotonic() + 2 * grace
    known, running = False, set["Task"]()
    while True:
        # Each time: the scheduler may have been about to start a task.
        found = rows.mark_failed(dag_id, run_id)
        if found is None:
            return known
        known = True
        running.update(found.running)
        left = _try(dag_id, run_id, found, running, grace, deadline)
        if not left:
            rows.remove(dag_id, run_id)
            return True
        if time.monotonic() >= deadline:
            raise NotStopped(f"Of run '{run_id}' of DAG '{dag_id}' there is still: {'; '.join(left)}.")
        time.sleep(PAUSE)


def _try(dag_id: str, run_id: str, found: Rows, running: set[Task], grace: float, deadline: float) -> list[str]:
    """Stop a run and remove its data.

    :param running: the tasks that ran when it was to be stopped.
    :returns: what is still there.
    """
    from . import rows

    run = {"dag_id": dag_id, "run_id": run_id, "job": found.job, "reports": found.reports}
    limit = max(deadline - time.monotonic(), 0)
    answers = _ask({"run": run, "end": {"grace": grace, "limit": limit}}, deadline + MARGIN)
    # A worker that is being stopped answers no more, but its tasks end with their run.
    hosts = {answer["host"] for answer in answers.values()}
    silent = [task for task in running if task.host not in hosts]
    over = rows.ended({task.job_id for task in silent if task.job_id is not None}) if silent else set()
    left = unanswered(task for task in silent if task.job_id not in over) + still_there(answers)
    if not answers and found.unsure:
        left += unanswered(found.unsure)
    if left or not answers:
        return left
    name = min(answers)
    return still_there(_ask({"run": run}, time.monotonic() + 2 * grace, only=name))


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
    :raises NotStopped: the broker cannot be reached.
    """
    from airflow.providers.celery.executors.celery_executor_utils import app
    from amqp.exceptions import AMQPError
    from kombu.exceptions import KombuError

    key = uuid.uuid4().hex
    answers: Answers = {}
    while True:
        try:
            with app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=ANSWER)
                for reply in app.control.broadcast(
                    COMMAND,
                    arguments={"key": key, "request": request},
                    destination=[only] if only else None,
                    connection=connection,
                    reply=True,
                    timeout=ANSWER,
                    # Of the first question nobody knows how many answer; later, who is late has been waited for.
                    limit=1 if only else len(answers) or None,
                ):
                    answers |= reply
        except (OSError, KombuError, AMQPError) as error:
            raise NotStopped(
                f"The broker cannot be reached: {error}. The run is marked as failed: try again."
            ) from error
        for worker, answer in answers.items():
            if "host" not in answer:  # what Celery says of an error
                raise NotStopped(f"Worker {worker} cannot stop a run: {answer}. The run is marked as failed.")
        if only and not answers:
            answers[only] = {"host": only, "left": None}
        if all(answer["left"] is not None for answer in answers.values()) or time.monotonic() >= until:
            return answers
        time.sleep(PAUSE)


def main(argv: list[str] | None = None) -> int:
    """Stop a run; exit code 1 when something of it is still there."""
    parser = argparse.ArgumentParser(
        description="Stop a run: end its processes and containers on all workers, remove its data and its rows."
    )
    parser.add_argument("dag", help="DAG")
    parser.add_argument("run", help="name of the run (run_id)")
    options = parser.parse_args(argv)
    try:
        known = stop_run(options.dag, options.run)
    except NotStopped as error:
        print(error, file=sys.stderr)
        return 1
    print("Stopped and removed." if known else f"There is no run '{options.run}' of DAG '{options.dag}'.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
