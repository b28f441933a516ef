"""What happened to a run, derived from its rows in Airflow's database.

The rows are all there is: whatever ended a task or a run, a tool, somebody at the web page or a kill, Airflow
notes it there. The same rows give the same events with the same keys, however often one looks.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any, TypeAlias

#: States in which a try has been started and has not ended.
STARTED_STATES = frozenset({"running", "restarting", "deferred", "up_for_reschedule", "awaiting_input"})
#: States in which a try has ended. A skipped one is reported if its start was.
ENDED_STATES = frozenset({"success", "failed", "up_for_retry", "upstream_failed", "skipped"})
ENDED_RUN_STATES = frozenset({"success", "failed"})
#: How many failed tasks the error of a run names.
NAMED_FAILURES = 5

#: A task and its index, which is -1 where it is not mapped.
TaskKey: TypeAlias = tuple[str, int]


@dataclass(frozen=True)
class ReportedRun:
    """A row of ``dag_run``."""

    id: int
    dag_id: str
    run_id: str
    #: Or else the time after which it was to run.
    logical_date: str
    state: str
    clear_number: int
    queued_at: datetime | None = None
    end_date: datetime | None = None

    def event_key(self, *event: str | int) -> str:
        """Return the key of an event of this run: another run of the same name has others."""
        identity = json.dumps([self.id, self.dag_id, self.run_id, self.logical_date, *event])
        return hashlib.sha256(identity.encode()).hexdigest()


@dataclass(frozen=True)
class TaskTry:
    """A row of ``task_instance``, or of ``task_instance_history``."""

    task_id: str
    map_index: int
    try_number: int
    state: str | None
    start_date: datetime | None
    end_date: datetime | None
    max_tries: int = 0

    @property
    def task_key(self) -> TaskKey:
        """The task that is tried."""
        return self.task_id, self.map_index


@dataclass(frozen=True)
class ReportEvent:
    """Something that is to be reported."""

    key: str
    route: str
    when: datetime
    payload: Mapping[str, Any]
    #: Keys of which one says the same; where one of them is known, this is no news.
    equivalent_keys: frozenset[str] = field(default_factory=frozenset)


#: An event with its time and its rank among those of the same time.
RankedEvent: TypeAlias = tuple[datetime, int, ReportEvent]


def derive_events(
    run: ReportedRun,
    tasks: Sequence[TaskTry],
    history: Iterable[TaskTry],
    errors: Mapping[TaskKey, str],
    results: Mapping[str, Any],
) -> list[ReportEvent]:
    """Return what the rows of a run say has happened, in the order in which it did.

    :param tasks: the tasks as they are.
    :param history: earlier tries of them.
    :param errors: what failed tasks said.
    :param results: the outputs of the run.
    """
    earlier_tries: dict[TaskKey, list[TaskTry]] = defaultdict(list)
    for past_try in history:
        earlier_tries[past_try.task_key].append(past_try)
    ranked: list[RankedEvent] = []
    for task in tasks:
        past_tries = earlier_tries[task.task_key]
        tries = [*past_tries, task]
        for past_try in past_tries:
            # A try may be in both, for instance while it waits to be tried again.
            if past_try.try_number != task.try_number or not describes_last_try(task):
                ranked += derive_try_events(run, past_try, tries, is_past=True)
        ranked += derive_try_events(run, task, tries, is_past=False)
        if task.state == "success" and task.end_date:
            key = run.event_key(*task.task_key, task.try_number, "progress")
            payload = progress_payload(run, "running", progress_percent(tasks, task.end_date))
            ranked.append((task.end_date, 2, ReportEvent(key, "progress", task.end_date, payload)))
    ordered = [event for _, _, event in sorted(ranked, key=lambda entry: entry[:2])]
    return ordered + derive_run_end_events(run, tasks, errors, results)


def describes_last_try(task: TaskTry) -> bool:
    """Tell whether the row of a task is about its last try, and not about what became of it without one."""
    return task.state in STARTED_STATES or (task.state in ENDED_STATES and task.state != "upstream_failed")


def find_try_start(row: TaskTry, tries: Iterable[TaskTry]) -> datetime | None:
    """Return when a try started; none if it did not.

    :param tries: all tries of the task.
    """
    start = row.start_date
    # Airflow leaves the dates of the try before in the row until the next one starts.
    if start in {other.start_date for other in tries if other.try_number < row.try_number}:
        return None
    # What Airflow itself ends without a start gets one date for both.
    if describes_last_try(row) and (row.state in STARTED_STATES or start != row.end_date):
        return start
    return None


def was_cleared_after(row: TaskTry, tries: Iterable[TaskTry]) -> bool:
    """Tell whether there is another try only because the task was cleared: Airflow then allows it more of them.

    :param tries: all tries of the task.
    """
    # The number changes only when the next one is queued.
    later = [other for other in tries if other is not row and other.try_number >= row.try_number]
    return bool(later) and min(later, key=lambda other: other.try_number).max_tries > row.max_tries


def derive_try_events(run: ReportedRun, row: TaskTry, tries: Iterable[TaskTry], is_past: bool) -> list[RankedEvent]:
    """Return start and end of a try, with the time and rank by which they are ordered.

    :param tries: all tries of the task.
    :param is_past: whether this one is in the history.
    """
    start = find_try_start(row, tries)
    state = row.state if row.state in ENDED_STATES else None
    equivalent_keys: frozenset[str] = frozenset()

    def status_key(state: str) -> str:
        # Without a try of its own: the number is the one of before.
        clears = () if start else (run.clear_number,)
        return run.event_key(*row.task_key, row.try_number, "status", state, *clears)

    if is_past:
        if not start:
            return []
        # The history calls everything failed that did not succeed.
        if state == "failed" and row.try_number <= row.max_tries and not was_cleared_after(row, tries):
            state = "up_for_retry"
        equivalent_keys = frozenset(status_key(other) for other in ENDED_STATES)
    found: list[RankedEvent] = []
    status = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": row.task_id}
    if start:
        found.append((start, 0, ReportEvent(status_key("running"), "status", start, {"state": "running", **status})))
    if state and row.end_date and (start or state != "skipped"):
        earliest = start or run.queued_at
        when = max(row.end_date, earliest) if earliest else row.end_date
        ended = ReportEvent(status_key(state), "status", when, {"state": state, **status}, equivalent_keys)
        found.append((when, 1, ended))
    return found


def derive_run_end_events(
    run: ReportedRun, tasks: Sequence[TaskTry], errors: Mapping[TaskKey, str], results: Mapping[str, Any]
) -> list[ReportEvent]:
    """Return the last reports of a run; none before it has ended."""
    if run.state not in ENDED_RUN_STATES or run.end_date is None:
        return []
    end_key = (run.clear_number, run.state, run.end_date.isoformat())
    failed = run.state == "failed"
    percent = progress_percent(tasks, None) if failed else 100
    payload = progress_payload(run, run.state, percent, failure_summary(tasks, errors) if failed else "")
    ended = [ReportEvent(run.event_key("progress", *end_key), "progress", run.end_date, payload)]
    if not failed:
        payload = {"dag_id": run.dag_id, "run_id": run.run_id, "results": results}
        ended.append(ReportEvent(run.event_key("results", *end_key), "results", run.end_date, payload))
    return ended


def removed_run_event(run: ReportedRun, percent: int, when: datetime) -> ReportEvent:
    """Return the end of a run whose rows were removed before it had one.

    :param run: the run as it was known.
    :param percent: its progress so far.
    """
    payload = progress_payload(run, "failed", percent, "The run was removed before it had ended.")
    return ReportEvent(run.event_key("progress", run.clear_number, "removed"), "progress", when, payload)


def progress_payload(run: ReportedRun, state: str, percent: int, error: str = "") -> dict[str, Any]:
    """Return what a report of the progress of a run says."""
    return {"state": state, "dag_id": run.dag_id, "run_id": run.run_id, "progress": percent, "error": error}


def progress_percent(tasks: Iterable[TaskTry], when: datetime | None) -> int:
    """Return how much of a run was done at a time, in percent.

    Each task counts the same, one that was shared out as the part of its shares that is done: so it never gets
    less when more shares appear.

    :param when: the time; none for now.
    """
    shares_done: dict[str, list[bool]] = defaultdict(list)
    for task in tasks:
        if task.state != "removed":
            is_done = (
                task.state in ("success", "skipped")
                and task.end_date is not None
                and (when is None or task.end_date <= when)
            )
            shares_done[task.task_id].append(is_done)
    total = sum((Fraction(sum(shares), len(shares)) for shares in shares_done.values()), Fraction(0))
    return int(100 * total / len(shares_done)) if shares_done else 0


def failure_summary(tasks: Iterable[TaskTry], errors: Mapping[TaskKey, str]) -> str:
    """Say in a line why a run failed: the tasks that did, the first one first, and what each said."""
    failed = sorted(
        (task for task in tasks if task.state == "failed"),
        key=lambda task: (task.end_date is None, task.end_date or 0, *task.task_key),
    )
    lines: list[str] = []
    for task in failed:
        default = f"{task.task_id}: was stopped, or killed, or left no message: see its log"
        line = errors.get(task.task_key, default)
        if line not in lines:
            lines.append(line)
    if len(lines) > NAMED_FAILURES:
        lines[NAMED_FAILURES:] = [f"and {len(lines) - NAMED_FAILURES} more"]
    return "; ".join(lines) or "The run was marked as failed."
