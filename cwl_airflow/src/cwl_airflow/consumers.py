"""See to it that a worker gets tasks: after its broker was away, one may answer whoever asks and consume nothing.

Celery notices that a connection ends, and not that the broker has no consumer of it any more (celery/celery#3201,
#8030). Each worker has a queue of its own here, which the broker removes with the last consumer, and all queues of a
worker are consumed together.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from typing import Any

from kombu import Queue

log = logging.getLogger(__name__)

#: Seconds between two looks, and after how many looks in a row that find no consumer something is done. Meanwhile
#: Celery may connect again by itself, for which it waits 32 s at most.
PAUSE, LOOKS = 12.0, 3
#: How often a worker connects again before it ends when its steps have ended, and is started again.
ATTEMPTS = 3
#: For how long the broker may take to answer, in seconds.
TIMEOUT = 5


class ConsumerWatch:
    """Looks from time to time whether the broker has consumers of a worker, and has it connect again if not."""

    def __init__(self, worker: Any) -> None:
        """Add the queue by which it is seen.

        :param worker: Celery's, before it consumes anything (``worker_init``).
        """
        self._app = worker.app
        self._name = f"{worker.hostname}.alive"
        self._queue = Queue(self._name, routing_key=self._name, durable=True, auto_delete=True)
        self._app.amqp.queues.select_add(self._queue)
        self._selected = dict(self._app.amqp.queues.consume_from)
        self._ended = threading.Event()

    def begin(self, consumer: Any) -> None:
        """Look from now on.

        :param consumer: Celery's, which has begun (``worker_ready``).
        """
        threading.Thread(target=self._watch, args=(consumer,), name="consumers", daemon=True).start()

    def end(self) -> None:
        """Look no more: the worker ends when its tasks have ended, and takes no others (``worker_shutting_down``)."""
        self._ended.set()

    def is_consumed(self) -> bool | None:
        """Tell whether the broker has a consumer of this worker; none if it does not say."""
        try:
            timeouts = {"read_timeout": TIMEOUT, "write_timeout": TIMEOUT}
            options = {**self._app.conf.broker_transport_options, **timeouts}
            with self._app.connection_for_read(connect_timeout=TIMEOUT, transport_options=options) as connection:
                connection.ensure_connection(max_retries=1, timeout=TIMEOUT)
                try:
                    declared = connection.default_channel.queue_declare(self._name, passive=True)
                except connection.channel_errors:
                    return False  # it is gone with its last consumer
                return bool(declared.consumer_count)
        except Exception:  # whatever a connection may raise: Celery waits for the broker itself
            return None

    def _watch(self, consumer: Any) -> None:
        missed = attempts = 0
        while not self._ended.wait(PAUSE):
            consumed = self.is_consumed()
            if consumed:
                attempts = 0
            missed = missed + 1 if consumed is False else 0
            if missed < LOOKS:
                continue
            missed, attempts = 0, attempts + 1
            if attempts > ATTEMPTS:
                log.warning("The broker still has no consumer of this worker, which ends when its steps have ended.")
                os.kill(os.getpid(), signal.SIGTERM)
                return
            log.warning("The broker has no consumer of this worker, which connects again; its steps go on.")
            consumer.call_soon(self._lose_connection, time.monotonic())

    def _lose_connection(self, seen: float) -> None:
        """Let Celery connect again, in its event loop.

        :param seen: when there was no consumer; if it comes to this later, Celery has connected again meanwhile.
        :raises ConnectionResetError: as the end of a connection does.
        """
        if time.monotonic() - seen > PAUSE:
            return
        for queue in self._selected.values():
            self._app.amqp.queues.select_add(queue)
        raise ConnectionResetError("the broker has no consumer of this worker")
