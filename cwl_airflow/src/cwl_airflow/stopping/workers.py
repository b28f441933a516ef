"""Ask the workers of a site over the broker.

Source: https://docs.celeryq.dev/en/stable/userguide/workers.html#remote-control
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from amqp.exceptions import AMQPError
from celery import Celery, states
from kombu.exceptions import KombuError

from .model import COMMAND, NotStopped, StopRequest, WorkerAnswer, WorkerAnswers

#: For how long workers may take to answer, in seconds.
ANSWER_TIMEOUT = 3


class CeleryWorkers:
    """Celery's workers."""

    def __init__(self, app: Celery) -> None:
        """Take the app of Celery whose workers they are."""
        self._app = app

    def ask(
        self, key: str, request: StopRequest, /, *, destination: list[str] | None, expected: int | None
    ) -> WorkerAnswers:
        """Have workers begin with a request, or say how far they are with it.

        :param key: tells a request that is new from one that was asked before.
        :param destination: names of the workers that are asked; all by default.
        :param expected: how many answers to wait for.
        :raises NotStopped: the broker cannot be reached, or a worker does not know what to do.
        """
        try:
            replies = self._broadcast({"key": key, "request": request.to_json()}, destination, expected)
        except (OSError, KombuError, AMQPError) as error:
            message = f"The broker cannot be reached: {error}. The run is marked as failed: try again."
            raise NotStopped(message) from error
        return {worker: parse_answer(worker, content) for reply in replies for worker, content in reply.items()}

    def find_ended(self, celery_task_ids: Collection[str], /) -> set[str]:
        """Return those of some tasks of Celery that have surely ended, whether their workers are there or not.

        That is what their supervisors say when all is over. A failure is no such word: a task whose worker was lost
        has one, and so has one that was handed out a second time, which Airflow refused.
        """
        return {each for each in celery_task_ids if self._app.AsyncResult(each).state == states.SUCCESS}

    def _broadcast(
        self, arguments: Mapping[str, Any], destination: list[str] | None, expected: int | None
    ) -> list[dict[str, dict[str, Any]]]:
        with self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=ANSWER_TIMEOUT)
            replies: list[dict[str, dict[str, Any]]] = self._app.control.broadcast(
                COMMAND,
                arguments=arguments,
                destination=destination,
                connection=connection,
                reply=True,
                timeout=ANSWER_TIMEOUT,
                limit=expected,
            )
            return replies


def parse_answer(worker: str, content: Mapping[str, Any]) -> WorkerAnswer:
    """Return what a worker answered.

    :raises NotStopped: it is what Celery says of an error.
    """
    try:
        return WorkerAnswer.from_json(content)
    except KeyError:
        raise NotStopped(f"Worker {worker} cannot stop a run: {content}. The run is marked as failed.") from None
