"""Deliver what is in the outbox: the reports of a run in order, and no run for ever behind another one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Protocol

from .outbox import Report
from .receiver import ReceiverUnreachable, ReportRefused

log = logging.getLogger(__name__)

#: For how long nothing is sent to a receiver that is not there, at most, in seconds.
LONGEST_PAUSE = 60
#: For how long a report that was refused waits for its next try, and those of its run behind it, at most.
LONGEST_WAIT = 300


class PendingReports(Protocol):
    """The reports that are to be delivered."""

    def find_pending(self, without_runs: Collection[int]) -> list[Report]:
        """Return the oldest reports, but of some runs."""

    def mark_delivered(self, ids: Collection[int]) -> None:
        """Note that reports were delivered."""


class ReportDelivery:
    """Delivers reports, and waits longer the more often that fails."""

    def __init__(
        self,
        reports: PendingReports,
        clock: Callable[[], float],
        words: tuple[str, str] = ("Report", "The receiver"),
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        """Have no failures to wait for.

        :param clock: tells the time in seconds; never back.
        :param words: what is delivered, and to whom, as the log calls it.
        :param longest_pause: for how long nothing is sent to a receiver that is not there, at most, in seconds.
        """
        self._reports = reports
        self._clock = clock
        self._what, self._receiver = words
        self._longest_pause = longest_pause
        self._unreachable_count = 0
        self._paused_until = 0.0
        #: By run: how often its next report was refused, and until when it waits.
        self._refusals: dict[int, tuple[int, float]] = {}
        #: Delivered, but not noted: the database was away. They must not be sent again.
        self._unmarked: set[int] = set()

    def deliver_due(self, send: Callable[[Report], None], is_stopping: Callable[[], bool] = lambda: False) -> int:
        """Deliver what is due.

        :param send: sends a report; raises `ReceiverUnreachable` or `ReportRefused`.
        :param is_stopping: tells whether to send no more.
        :returns: the number of reports that were delivered.
        """
        self._mark_delivered()
        if self._clock() < self._paused_until:
            return 0
        waiting = {run for run, (_, until) in self._refusals.items() if self._clock() < until}
        delivered = 0
        for report in self._reports.find_pending(waiting):
            if is_stopping():
                break
            if report.dag_run_id in waiting:
                continue
            try:
                send(report)
            except ReceiverUnreachable as error:
                self._pause(error)
                break
            except ReportRefused as error:
                self._hold_up_run(report, error)
                waiting.add(report.dag_run_id)
            else:
                self._note_success(report)
                delivered += 1
        return delivered

    def _pause(self, error: ReceiverUnreachable) -> None:
        """Send nothing for a while."""
        self._unreachable_count += 1
        self._paused_until = self._clock() + min(2 ** (self._unreachable_count - 1), self._longest_pause)
        if self._unreachable_count == 1:
            log.warning("%s. %ss are kept until it can.", error, self._what)

    def _hold_up_run(self, report: Report, error: ReportRefused) -> None:
        """Send nothing of a run for a while."""
        count = self._refusals.get(report.dag_run_id, (0, 0.0))[0] + 1
        self._refusals[report.dag_run_id] = count, self._clock() + min(2 ** (count - 1), LONGEST_WAIT)
        if count & (count - 1) == 0:
            log.warning("%s %s was not taken (%s times): %s. It is kept.", self._what, report.key, count, error)

    def _note_success(self, report: Report) -> None:
        if self._unreachable_count:
            log.info("%s is there again", self._receiver)
            self._unreachable_count = 0
        self._refusals.pop(report.dag_run_id, None)
        self._unmarked.add(report.id)
        self._mark_delivered()

    def _mark_delivered(self) -> None:
        if self._unmarked:
            self._reports.mark_delivered(self._unmarked)
            self._unmarked.clear()
