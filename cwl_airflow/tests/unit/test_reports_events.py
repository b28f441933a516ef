"""Which events the rows of a run give."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from cwl_airflow.reports.events import (
    ReportedRun,
    ReportEvent,
    TaskTry,
    derive_events,
    failure_summary,
    progress_percent,
    removed_run_event,
)
from hypothesis import given
from hypothesis import strategies as st

BEGAN = datetime(2026, 1, 2, tzinfo=timezone.utc)
RUN = ReportedRun(7, "align", "first", "2026-01-02T00:00:00+00:00", "running", 0, BEGAN)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def task(
    name: str, state: str | None = None, start: float | None = None, end: float | None = None, **more: Any
) -> TaskTry:
    dates = (None if seconds is None else at(seconds) for seconds in (start, end))
    fields = {"map_index": -1, "try_number": int(state is not None), **more}
    return TaskTry(name, fields.pop("map_index"), fields.pop("try_number"), state, *dates, **fields)


def found(run: ReportedRun, tasks: list[TaskTry], history: tuple[TaskTry, ...] = (), **more: Any) -> list[ReportEvent]:
    return derive_events(run, tasks, history, more.get("errors", {}), more.get("results", {}))


def said(all_events: list[ReportEvent]) -> list[str]:
    """Return events as text: what a receiver gets, but for dag and run, which are the same in all."""
    lines = []
    for event in all_events:
        payload = dict(event.payload)
        assert (payload.pop("dag_id"), payload.pop("run_id")) == ("align", "first")
        lines.append(" ".join([event.route, *(str(value) for value in payload.values() if value != "")]))
    return lines


def test_a_run_that_succeeds() -> None:
    tasks = [task("a", "success", 1, 2), task("b", "success", 3, 4)]
    run = replace(RUN, state="success", end_date=at(5))
    assert said(found(run, tasks, results={"out": 1})) == [
        "status running a",
        "status success a",
        "progress running 50",
        "status running b",
        "status success b",
        "progress running 100",
        "progress success 100",
        "results {'out': 1}",
    ]
    first = found(run, tasks)
    assert first[2].payload == {
        "state": "running", "dag_id": "align", "run_id": "first", "progress": 50, "error": ""}  # fmt: skip
    assert first[0].payload == {"state": "running", "dag_id": "align", "run_id": "first", "task_id": "a"}


def test_a_run_that_fails() -> None:
    tasks = [task("a", "success", 1, 2), task("b", "failed", 3, 4), task("c", "upstream_failed", 5, 5, try_number=0)]
    run = replace(RUN, state="failed", end_date=at(6))
    assert said(found(run, tasks, errors={("b", -1): "b: 'false' exit status 1"}))[3:] == [
        "status running b",
        "status failed b",
        "status upstream_failed c",
        "progress failed 33 b: 'false' exit status 1",
    ]


def test_what_has_not_begun_is_no_event() -> None:
    tasks = [task("a"), task("b", "scheduled"), task("c", "queued"), task("d", "removed", 1, 1)]
    assert found(replace(RUN, state="queued"), tasks) == []


def test_a_skipped_task_is_reported_if_its_start_was() -> None:
    tasks = [task("condition", "skipped", 1, 2), task("shares", "skipped", 3, 3, try_number=0)]
    assert said(found(RUN, tasks)) == ["status running condition", "status skipped condition"]


def test_tries() -> None:
    """Airflow's history says failed of a try that was tried again."""
    waits = task("a", "up_for_retry", 1, 2, max_tries=1)
    past = replace(waits, state="failed")
    first = found(RUN, [waits], (past,))
    assert said(first) == ["status running a", "status up_for_retry a"]
    # The dates are still those of the first try.
    assert found(RUN, [replace(waits, try_number=2, state="queued")], (past,)) == first_of_history(first)
    second = found(RUN, [task("a", "failed", 5, 6, try_number=2, max_tries=1)], (past,))
    assert said(second) == ["status running a", "status up_for_retry a", "status running a", "status failed a"]
    assert [event.key for event in second[:2]] == [event.key for event in first]


def first_of_history(all_events: list[ReportEvent]) -> list[ReportEvent]:
    """Return events as the history gives them: with the keys of which one says the same."""
    again = found(RUN, [task("a", "queued", try_number=2)], (task("a", "failed", 1, 2, max_tries=1),))
    assert [event.key for event in again] == [event.key for event in all_events]
    return again


def test_what_was_reported_of_a_try_is_not_reported_otherwise() -> None:
    """A task was marked as failed although it had tries left, and cleared: the history cannot tell."""
    marked = task("a", "failed", 1, 2, max_tries=3)
    reported = {event.key for event in found(RUN, [marked])}
    cleared = found(RUN, [replace(marked, state=None)], (marked,))
    assert all(reported & {event.key, *event.equivalent_keys} for event in cleared)


def test_a_task_that_may_be_tried_again_if_it_is_lost_failed_for_good() -> None:
    """As a tool that fails does, which Airflow tries again only if the task was cleared."""
    failed = task("a", "failed", 1, 2, max_tries=2)
    assert said(found(RUN, [failed])) == ["status running a", "status failed a"]
    for number in (1, 2):
        cleared = task("a", "queued", try_number=number, max_tries=3)
        assert said(found(RUN, [cleared], (failed,))) == ["status running a", "status failed a"]
    # Lost first, failed then, cleared, and lost once more.
    past = [
        task("a", "failed", number, number + 0.5, try_number=number, max_tries=most)
        for number, most in ((1, 2), (2, 2), (3, 4))
    ]
    states = said(found(RUN, [task("a", "success", 4, 5, try_number=4, max_tries=4)], tuple(past)))
    assert [line for line in states if line.startswith("status") and "running" not in line] == [
        "status up_for_retry a",
        "status failed a",
        "status up_for_retry a",
        "status success a",
    ]


def test_a_task_that_fails_in_the_queue_did_not_start_again() -> None:
    """Its dates are those of the first try, until Airflow sets the one of the end."""
    past = task("a", "failed", 1, 2)
    tasks = [task("a", "failed", 1, 9, try_number=2)]
    assert said(found(RUN, tasks, (past,))) == ["status running a", "status failed a", "status failed a"]


def test_a_try_of_the_past_that_never_started_is_no_event() -> None:
    """It was taken out of the queue: Airflow gives one date for both."""
    past = task("a", "failed", 2, 2)
    assert said(found(RUN, [task("a", "running", 5, try_number=2)], (past,))) == ["status running a"]


def test_a_run_that_was_cleared_gives_new_events() -> None:
    failed = replace(RUN, state="failed", end_date=at(9))
    tasks = [task("a", "failed", 1, 2), task("b", "upstream_failed", 3, 3, try_number=0)]
    again = replace(RUN, clear_number=1, state="failed", end_date=at(20), queued_at=at(10))
    # Airflow keeps the date of the end of a task that is set to a state a second time.
    tasks_again = [task("a", "failed", 11, 12, try_number=2), tasks[1]]
    before = {event.key for event in found(failed, tasks)}
    new = [event for event in found(again, tasks_again, (tasks[0],)) if event.key not in before]
    assert said(new)[:3] == ["status upstream_failed b", "status running a", "status failed a"]
    assert said(new)[3].startswith("progress failed 0 a: ")
    assert new[0].when == at(10)


def test_another_run_of_the_same_name_gives_new_events() -> None:
    tasks = [task("a", "success", 1, 2)]
    other = replace(RUN, logical_date="2026-01-03T00:00:00+00:00")
    assert not {event.key for event in found(RUN, tasks)} & {event.key for event in found(other, tasks)}


def test_the_end_comes_last_whatever_the_clocks_say() -> None:
    tasks = [task("a", "success", 100, 101)]
    assert said(found(replace(RUN, state="success", end_date=at(3)), tasks))[-2] == "progress success 100"


def test_a_run_that_was_removed() -> None:
    assert said([removed_run_event(RUN, 40, at(3))]) == ["progress failed 40 The run was removed before it had ended."]


def test_what_happens_at_the_same_time_is_in_the_order_of_start_end_and_progress() -> None:
    tasks = [task("a", "success", 1, 2), task("b", "success", 2, 3), task("c", "failed", 1, 2)]
    assert said(found(RUN, tasks)) == [
        "status running a",
        "status running c",
        "status running b",
        "status success a",
        "status failed c",
        "progress running 33",
        "status success b",
        "progress running 66",
    ]


def test_a_try_ends_no_earlier_than_it_began_whatever_the_clocks_say() -> None:
    events_found = found(RUN, [task("a", "failed", 5, 3), task("b", "upstream_failed", None, -1, try_number=0)])
    assert [event.when for event in events_found] == [BEGAN, at(5), at(5)]
    unqueued = replace(RUN, queued_at=None)
    assert found(unqueued, [task("b", "upstream_failed", None, -1)])[0].when == at(-1)


def test_what_has_no_date_has_not_ended() -> None:
    tasks = [task("a", "success", 1), task("b", "upstream_failed"), task("c", "skipped")]
    assert said(found(RUN, tasks)) == ["status running a"]
    assert progress_percent(tasks, None) == 0


def test_keys_stay_the_same() -> None:
    """Or else what an older version has reported would be reported again."""
    past = task("a", "failed", 1, 2, max_tries=1)
    tasks = [
        task("b", "upstream_failed", 5, 5, try_number=0),
        task("a", "success", 3, 4, try_number=2, max_tries=1),
        task("c", "failed", 6, 7, map_index=3),
    ]
    failed, ended = (replace(RUN, state=state, end_date=at(9), clear_number=2) for state in ("failed", "success"))
    events_found = found(failed, tasks, (past,)) + found(ended, [])
    events_found.append(removed_run_event(failed, 40, at(3)))
    keys = [[event.key, *sorted(event.equivalent_keys)] for event in events_found]
    assert sum(map(len, keys)) == 17
    fingerprint = hashlib.sha256(json.dumps(keys).encode()).hexdigest()
    assert fingerprint == "c55e9848fa67838c0e2c849fda7422905332c0d20d89d03bc2ff2e5b7ec73c95"


def test_what_counts_as_done() -> None:
    """What Airflow removed from a run does not count, and what was skipped is done."""
    tasks = [task("a", "success", 1, 2), task("b", "skipped", 3, 4), task("c", "failed", 5, 6)]
    assert progress_percent([*tasks, task("d", "removed", 1, 1)], None) == 66
    assert [progress_percent(tasks, at(seconds)) for seconds in (1, 2, 3, 4, 9)] == [0, 33, 33, 66, 66]


def test_shares_of_a_task_count_as_parts_of_it() -> None:
    shares = [task("s", "success", 1, 2, map_index=0), task("s", "running", 1, map_index=1)]
    assert progress_percent([task("a", "success", 1, 1), *shares], None) == 75
    assert progress_percent([], None) == 0


@pytest.mark.parametrize(
    ("states", "errors", "error"),
    [
        ([], {}, "The run was marked as failed."),
        (["failed"], {}, "t0: was stopped, or killed, or left no message: see its log"),
        (["failed", "success", "failed"], {0: "x: 1", 1: "no", 2: "y: 2"}, "y: 2; x: 1"),
        (["failed"] * 7, dict.fromkeys(range(7), "same"), "same"),
        (["failed"] * 5, {n: f"e{n}" for n in range(5)}, "e4; e3; e2; e1; e0"),
        (["failed"] * 7, {n: f"e{n}" for n in range(7)}, "e6; e5; e4; e3; e2; and 2 more"),
    ],
)
def test_the_error_of_a_run(states: list[str], errors: dict[int, str], error: str) -> None:
    tasks = [task(f"t{number}", state, 1, 50 - number) for number, state in enumerate(states)]
    assert failure_summary(tasks, {(f"t{number}", -1): text for number, text in errors.items()}) == error


def test_the_task_that_failed_first_is_named_first() -> None:
    tasks = [task("d", "failed"), task("c", "failed", 1, 2), task("b", "failed", 1, 3), task("a", "failed", 1, 3)]
    assert failure_summary(tasks, {(name, -1): name for name in "abcd"}) == "c; a; b; d"


STATES = st.sampled_from([None, "scheduled", "queued", "running", "success", "failed", "skipped", "upstream_failed"])


@given(st.lists(st.tuples(STATES, st.integers(0, 50), st.integers(0, 50)), max_size=8))
def test_order_and_keys(rows: list[tuple[str | None, int, int]]) -> None:
    """Each event has a key of its own, a start comes before its end, and progress never falls."""
    tasks = [task(f"t{n}", state, start, start + length) for n, (state, start, length) in enumerate(rows)]
    events_found = found(replace(RUN, state="success", end_date=at(99)), tasks)
    assert len({event.key for event in events_found}) == len(events_found)
    assert found(replace(RUN, state="success", end_date=at(99)), tasks) == events_found
    for each in tasks:
        states = [event.payload["state"] for event in events_found if event.payload.get("task_id") == each.task_id]
        assert states in ([], ["running"], ["running", each.state], [each.state])
    done = [event.payload["progress"] for event in events_found if event.route == "progress"]
    assert done == sorted(done)
    assert done[-1] == 100
