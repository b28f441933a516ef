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
from typing import Any

#: States in which a try has been started and has not ended.
STARTED = frozenset({"running", "restarting", "deferred", "up_for_reschedule"})
#: States in which a try has ended. A skipped one is reported if its start was.
ENDED = frozenset({"success", "failed", "up_for_retry", "upstream_failed", "skipped"})
RUN_ENDED = frozenset({"success", "failed"})
#: How many failed tasks the error of a run names.
NAMED = 5


@dataclass(frozen=True)
class Run:
    """A row of ``dag_run``."""

    id: int
    dag_id: str
    run_id: str
    logical_date: str
    state: str
    clear_number: int
    queued_at: datetime | None = None
    end_date: datetime | None = None

    def key(self, *event: Any) -> str:
        """Return the key of an event of this run: another run of the same name has others."""
        identity = json.dumps([self.id, self.dag_id, self.run_id, self.logical_date, *event])
        return hashlib.sha256(identity.encode()).hexdigest()


@dataclass(frozen=True)
class Try:
    """A row of ``task_instance``, or of ``task_instance_history``."""

    task_id: str
    map_index: int
    try_number: int
    state: str | None
    start_date: datetime | None
    end_date: datetime | None
    max_tries: int = 0


@dataclass(frozen=True)
class Event:
    """Something that is to be reported."""

    key: str
    route: str
    when: datetime
    payload: Mapping[str, Any]
    #: Keys of which one says the same; where one of them is known, this is no news.
    same: frozenset[str] = field(default_factory=frozenset)


def events(
    run: Run,
    tasks: Sequence[Try],
    history: Iterable[Try],
    errors: Mapping[tuple[str, int], str],
    results: Mapping[str, Any],
) -> list[Event]:
    """Return what the rows of a run say has happened, in the order in which it did.

    :param tasks: the tasks as they are.
    :param history: earlier tries of them.
    :param errors: what failed tasks said, by task and index.
    :param results: the outputs of the run.
    """
    earlier: dict[tuple[str, int], list[Try]] = defaultdict(list)
    for each in history:
        earlier[each.task_id, each.map_index].append(each)
    found: list[tuple[datetime, int, Event]] = []
    for task in tasks:
        tries = earlier[task.task_id, task.map_index]
        for each in tries:
            # A try may be in both, for instance while it waits to be tried again.
            if each.try_number != task.try_number or not _speaks(task):
                found += _of_try(run, each, tries, past=True)
        found += _of_try(run, task, tries, past=False)
        if task.state == "success" and task.end_date:
            key = run.key(task.task_id, task.map_index, task.try_number, "progress")
            payload = _progress(run, "running", progress(tasks, task.end_date))
            found.append((task.end_date, 2, Event(key, "progress", task.end_date, payload)))
    ordered = [event for _, _, event in sorted(found, key=lambda each: each[:2])]
    return ordered + _of_end(run, tasks, errors, results)


def _speaks(task: Try) -> bool:
    """Tell whether the row of a task is about its last try, and not about what became of it without one."""
    return task.state in STARTED or (task.state in ENDED and task.state != "upstream_failed")


def _of_try(run: Run, row: Try, tries: Iterable[Try], past: bool) -> list[tuple[datetime, int, Event]]:
    """Return start and end of a try, with the time and rank by which they are ordered.

    :param tries: the task's tries in the history.
    :param past: whether this is one of them.
    """
    # Airflow leaves the dates of the try before in the row until the next one starts.
    began = row.start_date
    if began in {other.start_date for other in tries if other.try_number < row.try_number}:
        began = None
    # What Airflow itself ends without a start gets one date for both.
    started = began is not None and _speaks(row) and (row.state in STARTED or began != row.end_date)
    state = row.state if row.state in ENDED else None
    same: frozenset[str] = frozenset()

    def key(state: str) -> str:
        # Without a try of its own: the number is the one of before.
        clears = () if started else (run.clear_number,)
        return run.key(row.task_id, row.map_index, row.try_number, "status", state, *clears)

    if past:
        if not started:
            return []
        # The history calls everything failed that did not succeed.
        if state == "failed" and row.try_number <= row.max_tries:
            state = "up_for_retry"
        same = frozenset(key(other) for other in ENDED)
    found = []
    status = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": row.task_id}
    if started and began:
        found.append((began, 0, Event(key("running"), "status", began, {"state": "running", **status})))
    if state and row.end_date and (started or state != "skipped"):
        floor = began if started else run.queued_at
        when = max(row.end_date, floor) if floor else row.end_date
        found.append((when, 1, Event(key(state), "status", when, {"state": state, **status}, same)))
    return found


def _of_end(
    run: Run, tasks: Sequence[Try], errors: Mapping[tuple[str, int], str], results: Mapping[str, Any]
) -> list[Event]:
    if run.state not in RUN_ENDED or run.end_date is None:
        return []
    end = (run.clear_number, run.state, run.end_date.isoformat())
    failed = run.state == "failed"
    done = progress(tasks, None) if failed else 100
    final = _progress(run, run.state, done, error_of(tasks, errors) if failed else "")
    ended = [Event(run.key("progress", *end), "progress", run.end_date, final)]
    if not failed:
        payload = {"dag_id": run.dag_id, "run_id": run.run_id, "results": results}
        ended.append(Event(run.key("results", *end), "results", run.end_date, payload))
    return ended


def removed(run: Run, done: int, when: datetime) -> Event:
    """Return the end of a run whose rows were removed before it had one.

    :param run: the run as it was known.
    :param done: its progress so far, in percent.
    """
    payload = _progress(run, "failed", done, "The run was removed before it had ended.")
    return Event(run.key("progress", run.clear_number, "removed"), "progress", when, payload)


def _progress(run: Run, state: str, done: int, error: str = "") -> dict[str, Any]:
    return {"state": state, "dag_id": run.dag_id, "run_id": run.run_id, "progress": done, "error": error}


def progress(tasks: Iterable[Try], when: datetime | None) -> int:
    """Return how much of a run was done at a time, in percent.

    Each task counts the same, one that was shared out as the part of its shares that is done: so it never gets
    less when more shares appear.

    :param when: the time; none for now.
    """
    parts = defaultdict(list)
    for task in tasks:
        if task.state != "removed":
            done = task.state in ("success", "skipped") and task.end_date is not None
            parts[task.task_id].append(done and (when is None or (task.end_date or when) <= when))
    total = sum((Fraction(sum(each), len(each)) for each in parts.values()), Fraction(0))
    return int(100 * total / len(parts)) if parts else 0


def error_of(tasks: Iterable[Try], errors: Mapping[tuple[str, int], str]) -> str:
    """Say in a line why a run failed: the tasks that did, the first one first, and what each said."""
    failed = sorted(
        (task for task in tasks if task.state == "failed"),
        key=lambda task: (task.end_date is None, task.end_date or 0, task.task_id, task.map_index),
    )
    said = []
    for task in failed:
        default = f"{task.task_id}: was stopped, or killed, or left no message: see its log"
        line = errors.get((task.task_id, task.map_index), default)
        if line not in said:
            said.append(line)
    if len(said) > NAMED:
        said[NAMED:] = [f"and {len(said) - NAMED} more"]
    return "; ".join(said) or "The run was marked as failed."
