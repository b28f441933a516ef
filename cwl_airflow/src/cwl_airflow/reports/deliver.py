"""Deliver what is in the outbox: the reports of a run in order, and no run for ever behind another one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Protocol

from .outbox import Report
from .receiver import Down, Refused

log = logging.getLogger(__name__)

#: For how long nothing is sent to a receiver that is not there, at most, in seconds.
LONGEST_PAUSE = 60
#: For how long a report that was refused waits for its next try, and those of its run behind it, at most.
LONGEST_WAIT = 300


class Outbox(Protocol):
    """What is to be delivered."""

    def pending(self, without: Collection[int]) -> list[Report]:
        """Return the oldest reports, but of some runs."""

    def mark(self, ids: Collection[int]) -> None:
        """Note that reports were delivered."""


class Delivery:
    """Delivers reports, and waits longer the more often that fails."""

    def __init__(self, outbox: Outbox, clock: Callable[[], float]) -> None:
        """Begin.

        :param clock: tells the time in seconds; never back.
        """
        self._outbox = outbox
        self._clock = clock
        self._failures = 0
        self._pause = 0.0
        #: By run: how often its next report was refused, and until when it waits.
        self._refused: dict[int, tuple[int, float]] = {}
        #: Delivered, but not noted: the database was away. They must not be sent again.
        self._unmarked: set[int] = set()

    def round(self, send: Callable[[Report], None], stop: Callable[[], bool] = lambda: False) -> int:
        """Deliver what is due.

        :param send: sends a report; raises `Down` or `Refused`.
        :param stop: tells whether to send no more.
        :returns: the number of reports that were delivered.
        """
        self._note()
        if self._clock() < self._pause:
            return 0
        waiting = {run for run, (_, until) in self._refused.items() if self._clock() < until}
        delivered = 0
        for report in self._outbox.pending(waiting):
            if stop():
                break
            if report.dag_run_id in waiting:
                continue
            try:
                send(report)
            except Down as error:
                self._failures += 1
                self._pause = self._clock() + min(2 ** (self._failures - 1), LONGEST_PAUSE)
                if self._failures == 1:
                    log.warning("%s. Reports are kept until it can.", error)
                break
            except Refused as error:
                times = self._refused.get(report.dag_run_id, (0, 0.0))[0] + 1
                self._refused[report.dag_run_id] = times, self._clock() + min(2 ** (times - 1), LONGEST_WAIT)
                waiting.add(report.dag_run_id)
                if times & (times - 1) == 0:
                    log.warning("Report %s was not taken (%s times): %s. It is kept.", report.key, times, error)
            else:
                if self._failures:
                    log.info("The receiver is there again")
                    self._failures = 0
                self._refused.pop(report.dag_run_id, None)
                self._unmarked.add(report.id)
                self._note()
                delivered += 1
        return delivered

    def _note(self) -> None:
        if self._unmarked:
            self._outbox.mark(self._unmarked)
            self._unmarked.clear()
