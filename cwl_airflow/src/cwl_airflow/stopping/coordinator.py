"""Stop a run on whichever workers it is, and remove it."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterable

from .model import (
    Database,
    Deadline,
    EndTimes,
    NotStopped,
    RunReference,
    StartedTask,
    StopRequest,
    WorkerAnswer,
    WorkerAnswers,
    Workers,
)

#: What a worker may take longer than it was given, in seconds: an engine of containers is asked to the end.
MARGIN = 15
#: Seconds between two questions.
PAUSE = 0.3
#: How many questions a worker may leave unanswered before it counts as gone.
MISSED_QUESTIONS = 3


class RunStopper:
    """Stops runs of a site."""

    def __init__(self, database: Database, workers: Workers) -> None:
        """Take where the rows are, and who runs what they are about."""
        self._database = database
        self._workers = workers

    def stop(self, dag_id: str, run_id: str, gone_hosts: Collection[str], deadline: Deadline) -> bool:
        """Stop a run, and remove its data and its rows.

        :param gone_hosts: names of hosts that will never answer, and run nothing any more.
        :returns: whether there was such a run.
        :raises NotStopped: something is still alive after twice the grace, or the data could not be removed.
        """
        was_there, unsure = False, set[StartedTask]()
        while True:
            # Each time: the scheduler may have been about to start a task.
            rows = self._database.mark_failed(dag_id, run_id)
            if rows is None:
                return was_there
            was_there = True
            unsure.update(rows.unsure)
            run = RunReference(dag_id, run_id, rows.job, rows.reports, rows.task_instances)
            remaining = self._stop_once(run, unsure, gone_hosts, deadline)
            if not remaining:
                self._database.remove_run(dag_id, run_id)
                return True
            if deadline.remaining(2) <= 0:
                raise NotStopped(f"Of run '{run_id}' of DAG '{dag_id}' there is still: {'; '.join(remaining)}.")
            time.sleep(PAUSE)

    def _stop_once(
        self, run: RunReference, unsure: set[StartedTask], gone_hosts: Collection[str], deadline: Deadline
    ) -> list[str]:
        """End what is of a run and remove its data.

        :param unsure: the tasks that were started and did not succeed, also those that an earlier look found.
        :returns: what is still there.
        """
        request = StopRequest(run, EndTimes(deadline.remaining(1), deadline.remaining(2)))
        answers = self._ask_until_done(request, time.monotonic() + deadline.remaining(2) + MARGIN)
        missing = self._find_missing_tasks(unsure, {*gone_hosts, *(answer.host for answer in answers.values())})
        if not answers:  # nobody can remove the data
            missing.update(unsure)
        remaining = name_missing_tasks(missing) + name_remaining(answers)
        if remaining or not answers:
            return remaining
        removal = StopRequest(run, gone_hosts=tuple(gone_hosts))
        return name_remaining(self._ask_until_done(removal, time.monotonic() + 2 * deadline.grace, min(answers)))

    def _find_missing_tasks(self, unsure: Collection[StartedTask], heard: Collection[str]) -> set[StartedTask]:
        """Return the tasks of which nobody says that they have ended.

        :param heard: names of the hosts of workers that answered, or need not answer.
        """
        silent = [task for task in unsure if task.host not in heard]
        if not silent:
            return set()
        # A worker that is being stopped answers no more, but its tasks end with their run.
        ended = self._workers.find_ended({task.celery_task_id for task in silent if task.celery_task_id})
        return {task for task in silent if task.celery_task_id not in ended}

    def _ask_until_done(self, request: StopRequest, until: float, only: str | None = None) -> WorkerAnswers:
        """Have workers do something, and return what they say when they have done it.

        :param until: when to ask no more, by `time.monotonic`.
        :param only: ask only this worker.
        :raises NotStopped: they cannot be asked.
        """
        key = uuid.uuid4().hex
        answers: WorkerAnswers = {only: WorkerAnswer(only, None)} if only else {}
        missed: Counter[str] = Counter()
        while True:
            # To the first question nobody knows how many will answer.
            replies = self._workers.ask(
                key, request, destination=[only] if only else None, expected=len(answers) or None
            )
            answers |= replies
            if all(answer.remaining is not None for answer in answers.values()) or time.monotonic() >= until:
                return answers
            missed.update(answers.keys() - replies.keys())
            if not only:
                answers = {worker: each for worker, each in answers.items() if missed[worker] <= MISSED_QUESTIONS}
            time.sleep(PAUSE)


def name_missing_tasks(tasks: Iterable[StartedTask]) -> list[str]:
    """Name tasks whose workers do not answer."""
    return sorted({f"task {task.name} on {task.host}, whose worker does not answer" for task in tasks})


def name_remaining(answers: WorkerAnswers) -> list[str]:
    """Name what workers say is still there; one that does not say has not ended its work."""
    remaining: list[str] = []
    for answer in answers.values():
        if answer.remaining is None:
            remaining.append(f"something on {answer.host}, whose worker is still at it")
        else:
            remaining += answer.remaining
    return remaining
