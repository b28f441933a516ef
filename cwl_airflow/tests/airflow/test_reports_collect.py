"""What is reported of runs, from the rows that Airflow writes."""

from __future__ import annotations

import json
import logging
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import rows
import sqlalchemy as sa
from airflow import settings
from airflow.models import DagRun
from airflow.models.taskinstance import clear_task_instances
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.utils.session import create_session
from cwl_airflow.dags.notes import ERROR
from cwl_airflow.dags.operators import RESULTS
from cwl_airflow.documents.plan import GATHERER, OUTPUTS_REPORT, STATISTICS
from cwl_airflow.reports import collect, outbox
from cwl_airflow.reports.collect import RunCollector
from rows import add_run, add_task, at, change_run, change_task, end_run, push

from cwl_airflow import schema

pytestmark = pytest.mark.usefixtures("clean_database")


@pytest.fixture(autouse=True)
def tables(clean_database: Path) -> None:
    schema.upgrade(settings.engine)


@pytest.fixture
def collector() -> RunCollector:
    """Return one that has looked once: what happens from then on is reported."""
    made = RunCollector(create_session)
    made.collect(True)
    return made


def reports() -> list[dict[str, Any]]:
    """Return all reports."""
    with create_session() as session:
        table = session.execute(sa.select(outbox.REPORTS).order_by(outbox.REPORTS.c.id))
        return [{"route": row.route, "run_id": row.run_id, **json.loads(row.payload)} for row in table]


_SHOWN = ("task_id", "state", "progress", "error", "results")


def collected(collector: RunCollector, configured: bool = True) -> list[str]:
    """Look once, and return what is new as text."""
    before = len(reports())
    collector.collect(configured)
    return [
        " ".join([each["route"], *(str(each[name]) for name in _SHOWN if each.get(name, "") != "")])
        for each in reports()[before:]
    ]


def owed() -> dict[str, tuple[int, bool]]:
    """Return the runs whose end is owed, with their progress, and whether they themselves have ended."""
    with create_session() as session:
        return {row.run_id: (row.progress, row.ended) for row in outbox.read_owed_runs(session).values()}


def set_time(name: str, ago: timedelta) -> None:
    with create_session() as session:
        outbox.write_time(session, name, outbox.to_naive_utc(datetime.now(timezone.utc) - ago))


def test_a_run_from_queue_to_results(collector: RunCollector) -> None:
    add_run(state="queued")
    assert collected(collector) == []
    add_task("a")
    add_task("b")
    assert collected(collector) == []
    assert owed() == {"first": (0, False)}
    change_run(state="running")
    change_task("a", state="queued", try_number=1)
    assert collected(collector) == []
    change_task("a", state="running", start_date=1)
    assert collected(collector) == ["status a running"]
    assert collected(collector) == []
    change_task("a", state="success", end_date=2)
    change_task("b", state="running", try_number=1, start_date=3)
    assert collected(collector) == ["status a success", "progress running 50", "status b running"]
    assert owed() == {"first": (50, False)}
    change_task("b", state="success", end_date=4)
    push("b", RESULTS, {"out": 1})
    end_run("success", 5)
    expected = ["status b success", "progress running 100", "progress success 100", "results {'out': 1}"]
    assert collected(collector) == expected
    assert owed() == {}
    assert collected(collector) == []


def test_a_run_that_fails_says_what_its_tasks_said(collector: RunCollector) -> None:
    add_run()
    add_task("a", "failed", 1, 2)
    add_task("b", "upstream_failed", 3, 3)
    push("a", ERROR, "a: 'false' exit status 1")
    end_run("failed", 4)
    assert collected(collector) == [
        "status a running",
        "status a failed",
        "status b upstream_failed",
        "progress failed 0 a: 'false' exit status 1",
    ]


@pytest.mark.parametrize("state", ["restarting", "deferred", "up_for_reschedule", "awaiting_input"])
def test_other_states_of_a_task_that_was_started(collector: RunCollector, state: str) -> None:
    add_run()
    add_task("a", state, 1)
    assert collected(collector) == ["status a running"]


def test_retries(collector: RunCollector) -> None:
    add_run()
    add_task("a", "running", 1, max_tries=1)
    assert collected(collector) == ["status a running"]
    # As Airflow does when a task with tries left fails.
    with create_session() as session:
        task = rows.find_tasks(session)[0]
        task.end_date = at(2)
        TaskInstanceHistory.record_ti(task, session=session)
        task.state = "up_for_retry"
    assert collected(collector) == ["status a up_for_retry"]
    change_task("a", state="running", try_number=2, start_date=5, end_date=5)
    change_task("a", end_date=6, state="success")
    assert collected(collector) == ["status a running", "status a success", "progress running 100"]


def test_a_try_that_ends_and_the_next_that_starts_between_two_looks(collector: RunCollector) -> None:
    add_run()
    add_task("a", "running", 1, max_tries=1)
    collector.collect(True)
    with create_session() as session:
        task = rows.find_tasks(session)[0]
        task.end_date = at(2)
        TaskInstanceHistory.record_ti(task, session=session)
        task.state = "running"
    change_task("a", try_number=2, start_date=5)
    assert collected(collector) == ["status a up_for_retry", "status a running"]


def test_a_run_that_is_cleared_is_reported_again(collector: RunCollector) -> None:
    add_run()
    add_task("a", "failed", 1, 2)
    end_run("failed", 3)
    assert collected(collector)[-1].startswith("progress failed 0 a: ")
    assert owed() == {}
    with create_session() as session:
        clear_task_instances(rows.find_tasks(session), session)
    with create_session() as session:
        run = session.scalar(sa.select(DagRun))
        assert (run.clear_number, run.state) == (1, "queued")
    assert collected(collector) == []
    assert owed() == {"first": (0, False)}
    change_run(state="running")
    change_task("a", state="success", try_number=2, start_date=11, end_date=12)
    end_run("success", 13)
    expected = ["status a running", "status a success", "progress running 100", "progress success 100", "results {}"]
    assert collected(collector) == expected


def test_a_run_that_is_removed_before_its_end(collector: RunCollector) -> None:
    add_run()
    add_task("a", "success", 1, 2)
    add_task("b", "running", 3)
    collector.collect(True)
    rows.remove_rows()
    assert collected(collector) == ["progress failed 50 The run was removed before it had ended."]
    assert owed() == {}
    assert collected(collector) == []


def test_a_run_that_is_removed_while_nobody_looks(collector: RunCollector) -> None:
    add_run()
    add_task("a", "running", 1)
    collector.collect(True)
    rows.remove_rows()
    assert collected(RunCollector(create_session)) == ["progress failed 0 The run was removed before it had ended."]


def test_a_run_that_is_removed_after_its_end(collector: RunCollector) -> None:
    """A task of it had not ended, so that it was still looked at; its own end is known."""
    add_run()
    add_task("a", "running", 1)
    end_run("failed", 2)
    expected = "progress failed 0 The run was marked as failed."
    assert collected(collector) == ["status a running", expected]
    assert owed() == {"first": (0, True)}
    rows.remove_rows()
    assert collected(collector) == []
    assert owed() == {}


def test_a_task_that_ends_after_its_run(collector: RunCollector) -> None:
    add_run()
    add_task("a", "running", 1)
    end_run("failed", 2)
    collector.collect(True)
    change_task("a", state="failed", end_date=5)
    assert collected(collector) == ["status a failed"]
    assert owed() == {}


def test_another_run_that_got_the_id_of_one_that_was_removed(collector: RunCollector) -> None:
    """SQLite gives a key out again."""
    first = add_run()
    add_task("a", "running", 1)
    collector.collect(True)
    rows.remove_rows()
    assert add_run("second", logical_date=at(60)) == first
    add_task("a", "running", 2, run_id="second")
    assert collected(collector) == ["progress failed 0 The run was removed before it had ended."]
    assert collected(collector) == ["status a running"]
    assert [each["run_id"] for each in reports()] == ["first", "first", "second"]


def test_another_run_of_the_same_name_that_is_removed_as_well(collector: RunCollector) -> None:
    for number in range(2):
        add_run(logical_date=at(number))
        add_task("a", "running", 1 + number)
        assert collected(collector) == ["status a running"]
        rows.remove_rows()
        assert collected(collector) == ["progress failed 0 The run was removed before it had ended."]


def test_a_run_of_another_dag_that_got_the_id_of_one_that_was_removed(collector: RunCollector) -> None:
    first = add_run()
    add_task("a", "running", 1)
    collector.collect(True)
    rows.remove_rows()
    assert add_run("second", logical_date=at(60)) == first
    add_task("a", "running", 2, run_id="second", operator="BashOperator")
    assert collected(collector) == ["progress failed 0 The run was removed before it had ended."]
    assert collected(collector) == []


def test_a_run_without_a_logical_date_is_known_by_when_it_was_to_run(collector: RunCollector) -> None:
    first = add_run(logical_date=None)
    add_task("a", "running", 1)
    assert collected(collector) == ["status a running"]
    rows.remove_rows()
    assert add_run(logical_date=None, run_after=at(60)) == first
    add_task("a", "running", 1)
    assert collected(collector) == ["progress failed 0 The run was removed before it had ended."]
    assert collected(collector) == ["status a running"]


def test_mapped_tasks_are_parts_of_one(collector: RunCollector) -> None:
    add_run()
    add_task("a", "success", 1, 2)
    for index in range(2):
        add_task("share", "success", 3, 4 + index, map_index=index)
    end_run("success", 9)
    assert collected(collector)[-5:-2] == ["progress running 75", "status share success", "progress running 100"]


def test_runs_of_other_dags_are_none_of_its_business(collector: RunCollector) -> None:
    add_run()
    add_task("a", "running", 1, operator="BashOperator")
    assert collected(collector) == []
    end_run("success", 2)
    assert collected(collector) == []
    assert owed() == {}


def test_a_run_is_told_by_any_of_its_tasks(collector: RunCollector) -> None:
    add_run()
    add_task("before", "running", 1, operator="BashOperator")
    add_task("a", operator="CWLStepOperator")
    assert collected(collector) == ["status before running"]


def reports_by_run() -> dict[str, list[str]]:
    """Return what is reported of each run as text."""
    found: dict[str, list[str]] = {}
    for each in reports():
        text = " ".join(str(each[name]) for name in _SHOWN if each.get(name, "") != "")
        found.setdefault(f"{each['dag_id']} {each['run_id']}", []).append(text)
    return found


def test_runs_with_the_same_names_are_not_mixed_up(collector: RunCollector) -> None:
    add_run(state="failed", end_date=at(9))
    add_task("a", "failed", 1, 2)
    push("a", ERROR, "a: no")
    for number, dag_id in enumerate((rows.DAG, "other"), 1):
        run_id = ("second", rows.RUN)[number - 1]
        add_run(run_id, dag_id, state="success", end_date=at(9), logical_date=at(number))
        # The history of each has a try that the others have not.
        add_task("a", "success", 6, 7, run_id, dag_id=dag_id, try_number=2, max_tries=1)
        add_history("a", 10 + number, 20 + number, run_id, dag_id)
    push("a", RESULTS, {"out": 2}, run_id="second")
    collector.collect(True)
    tried_twice = ["a running", "a success", "running 100", "a running", "a up_for_retry", "success 100"]
    assert reports_by_run() == {
        "align first": ["a running", "a failed", "failed 0 a: no"],
        "align second": [*tried_twice, "{'out': 2}"],
        "other first": [*tried_twice, "{}"],
    }


def add_history(task_id: str, start: float, end: float, run_id: str, dag_id: str) -> None:
    """Add a first try that failed and of which there is a second one."""
    with create_session() as session:
        table = TaskInstanceHistory.__table__
        row = {"task_id": task_id, "run_id": run_id, "dag_id": dag_id, "map_index": -1, "try_number": 1}
        row |= {"state": "failed", "start_date": at(start), "end_date": at(end), "max_tries": 1}
        row["task_instance_id"] = uuid.uuid4()
        session.execute(sa.insert(table).values(pool="default_pool", pool_slots=1, **row))


def test_what_a_run_is_does_not_depend_on_runs_with_the_same_names(collector: RunCollector) -> None:
    for number, (dag_id, run_id, operator) in enumerate(
        [
            ("align", "first", "CWLStepOperator"),
            ("plain", "first", "BashOperator"),
            ("plain", "second", "CWLStepOperator"),
        ]
    ):
        add_run(run_id, dag_id, logical_date=at(number))
        add_task("a", "running", 1, run_id=run_id, dag_id=dag_id, operator=operator)
    collector.collect(True)
    assert list(reports_by_run()) == ["align first", "plain second"]


def test_a_run_is_only_read_again_when_something_happened_to_it(
    collector: RunCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = collect.write_run

    def note(session: Any, run: Any, since: datetime) -> None:
        written.append(run.run_id)
        write(session, run, since)

    monkeypatch.setattr(collect, "write_run", note)
    for number, name in enumerate(("first", "second", "ended")):
        add_run(name, logical_date=at(number))
        add_task("a", "running" if number < 2 else "success", 1, 2, run_id=name)
    end_run("success", 3, "ended")
    looks = []
    for change in (None, None, {"state": "success", "end_date": 5}, None, {"try_number": 2}, None):
        if change:
            change_task("a", **change)
        collector.collect(True)
        looks.append(list(written))
        written.clear()
    assert looks == [["first", "second", "ended"], [], ["first"], [], ["first"], []]


@pytest.mark.usefixtures("in_tokyo")
def test_times_are_those_of_utc_wherever_a_host_is() -> None:
    collector = RunCollector(create_session)
    collector.collect(True)
    add_run()
    add_task("a", "running", 1)
    collector.collect(True)
    rows.remove_rows()
    collector.collect(True)
    now = outbox.to_naive_utc(datetime.now(timezone.utc))
    with create_session() as session:
        times = list(outbox.read_times(session).values())
        times.append(session.scalars(sa.select(outbox.REPORTS.c.happened_at).order_by(outbox.REPORTS.c.id)).all()[-1])
    assert len(times) == 3
    assert all(timedelta(0) <= now - each < timedelta(minutes=1) for each in times)


def looked_long_ago() -> bool:
    with create_session() as session:
        looked = outbox.read_times(session)[outbox.LOOKED]
    return outbox.to_naive_utc(datetime.now(timezone.utc)) - looked > timedelta(minutes=30)


def test_when_it_looked_is_noted_now_and_then(collector: RunCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    set_time(outbox.LOOKED, timedelta(hours=1))
    collector.collect(True)
    assert looked_long_ago()
    monkeypatch.setattr(collect, "NOTE_INTERVAL", timedelta(0))
    collector.collect(True)
    assert not looked_long_ago()


def test_what_happened_before_there_was_a_receiver_is_not_reported() -> None:
    add_run()
    add_task("a", "success", -3600, -3599)
    add_task("b", "running", 1)
    assert collected(RunCollector(create_session)) == ["status b running"]


def test_nothing_is_reported_while_there_is_no_receiver(collector: RunCollector) -> None:
    add_run()
    add_task("a", "success", -3600, -3599)
    assert collected(RunCollector(create_session), configured=False) == []
    change_task("a", start_date=1, end_date=2)
    assert collected(collector, configured=False) == []


def test_a_receiver_that_is_removed_and_set_again(collector: RunCollector) -> None:
    set_time(outbox.SINCE, timedelta(days=3))
    add_run()
    add_task("a", "running", -7200)
    assert collected(collector) == ["status a running"]
    assert collected(collector, configured=False) == []
    with create_session() as session:
        assert outbox.read_times(session) == {}
    assert owed() == {}
    # Meanwhile, which is never reported.
    change_task("a", state="success", end_date=-3600)
    assert collected(collector) == []
    end_run("success", 5)
    assert collected(collector) == ["progress success 100", "results {}"]


def test_what_happened_while_nobody_looked_is_reported() -> None:
    set_time(outbox.SINCE, timedelta(days=60))
    set_time(outbox.LOOKED, timedelta(days=20))
    days = 86400
    add_run("before", state="success", logical_date=at(-30 * days), end_date=at(-21 * days))
    add_task("a", "success", -22 * days, -21 * days, run_id="before")
    add_run("meanwhile", state="success", logical_date=at(-19 * days), end_date=at(-18 * days))
    add_task("a", "success", -19 * days, -18 * days, run_id="meanwhile")
    collector = RunCollector(create_session)
    collector.collect(True)
    assert {each["run_id"] for each in reports()} == {"meanwhile"}
    assert [each["route"] for each in reports()] == ["status", "status", "progress", "progress", "results"]
    with create_session() as session:
        looked = outbox.read_times(session)[outbox.LOOKED]
    assert outbox.to_naive_utc(datetime.now(timezone.utc)) - looked < timedelta(minutes=1)


def test_a_run_that_ended_long_before_and_is_not_new_is_found_by_who_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "NEWEST_RUNS", 1)
    set_time(outbox.SINCE, timedelta(days=2))
    set_time(outbox.LOOKED, timedelta(hours=5))
    for number, ended in enumerate((-7 * 3600, -2 * 3600, None)):
        name = f"run-{number}"
        add_run(name, state="success" if ended else "queued", logical_date=at(number))
        add_task("a", "success" if ended else None, ended and ended - 1, ended, run_id=name)
        if ended:
            end_run("success", ended, name)
    collector = RunCollector(create_session)
    collector.collect(True)
    # The first one ended more than an hour before anybody looked last.
    assert {each["run_id"] for each in reports()} == {"run-1"}


def test_a_run_that_was_marked_otherwise_is_seen_among_the_newest(collector: RunCollector) -> None:
    add_run()
    add_task("a", "success", 1, 2)
    end_run("success", 3)
    collector.collect(True)
    end_run("failed", 7)
    assert collected(collector) == ["progress failed 100 The run was marked as failed."]


def test_a_second_service_finds_nothing_new(collector: RunCollector) -> None:
    add_run()
    add_task("a", "success", 1, 2)
    end_run("success", 3)
    assert len(collected(collector)) == 5
    assert collected(RunCollector(create_session)) == []


def test_two_services_at_once_write_each_report_once(collector: RunCollector) -> None:
    """MySQL's lock keeps the second one away; where there is none the unique key of events does."""
    add_run()
    add_task("a", "running", 1)
    other = RunCollector(create_session)
    other.collect(True)
    change_task("a", state="success", end_date=2)
    assert len(collected(collector)) == 2
    assert collected(other) == []


def test_the_end_of_a_run_without_dates_waits(collector: RunCollector) -> None:
    add_run(state="success")
    add_task("a", "success", 1, 2)
    assert collected(collector)[-1] == "progress running 100"


def test_a_run_that_cannot_be_read_keeps_no_other_from_being_reported(
    collector: RunCollector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = collect.write_run

    def fail_for_first(session: Any, run: Any, since: datetime) -> None:
        if run.run_id == "first":
            raise ValueError("nonsense")
        write(session, run, since)

    monkeypatch.setattr(collect, "write_run", fail_for_first)
    for number, name in enumerate(("first", "second")):
        add_run(name, logical_date=at(number))
        add_task("a", "running", 1, run_id=name)
    assert collected(collector) == ["status a running"]
    assert caplog.messages == ["Run first of align cannot be reported"]
    caplog.clear()
    assert collected(collector) == []
    assert caplog.text == ""  # not again, before something happens to it


def test_a_database_that_is_away_is_for_others_to_handle(
    collector: RunCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, OSError("away"))

    add_run()
    add_task("a", "running", 1)
    with monkeypatch.context() as patch, pytest.raises(sa.exc.OperationalError):
        patch.setattr(collect, "write_run", fail)
        collector.collect(True)
    assert collected(collector) == ["status a running"]


@pytest.fixture
def succeeded(collector: RunCollector) -> RunCollector:
    add_run()
    add_task(GATHERER, "success", 1, 2)
    add_task("mine", "success", 1, 2)
    end_run("success", 3)
    return collector


def test_results_of_a_gatherer_are_read_from_its_file(succeeded: RunCollector, tmp_path: Path) -> None:
    file = tmp_path / "any.json"
    file.write_text(json.dumps({"out": 2, STATISTICS: {}}), encoding="utf-8")
    push(GATHERER, "return_value", str(file))
    assert collected(succeeded)[-1] == "results {'out': 2}"


def test_results_of_a_task_with_another_name_are_read_from_a_report(succeeded: RunCollector, tmp_path: Path) -> None:
    for name, value in ((OUTPUTS_REPORT, 3), ("other.json", 4)):
        (tmp_path / name).write_text(json.dumps({"out": value}), encoding="utf-8")
    push("mine", "return_value", str(tmp_path / OUTPUTS_REPORT))
    push(GATHERER, "other", str(tmp_path / "other.json"))
    assert collected(succeeded)[-1] == "results {'out': 3}"


def test_what_a_task_of_a_user_returned_is_no_result(succeeded: RunCollector, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"out": 4}', encoding="utf-8")
    push("mine", "return_value", str(tmp_path / "other.json"))
    push(GATHERER, "return_value", {"not": "a path"})
    push("mine", RESULTS, "no mapping")
    assert collected(succeeded)[-1] == "results {}"


@pytest.mark.parametrize(
    ("content", "said"), [("{", "Expecting property name"), ("[]", "pop expected"), (None, "[Errno 2]")]
)
def test_results_that_cannot_be_read(
    succeeded: RunCollector, tmp_path: Path, content: str | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    if content is not None:
        (tmp_path / OUTPUTS_REPORT).write_text(content, encoding="utf-8")
    push(GATHERER, "return_value", str(tmp_path / OUTPUTS_REPORT))
    assert collected(succeeded)[-1] == "results {}"
    [message] = caplog.messages
    assert message.startswith(f"The results of run first of align cannot be read: {said}")


def test_what_a_task_pushed_that_cannot_be_loaded_is_left_out(
    succeeded: RunCollector, caplog: pytest.LogCaptureFixture
) -> None:
    push("mine", RESULTS, {"__classname__": "of.nobody", "__version__": 1, "__data__": {}})
    push(GATHERER, RESULTS, {"out": 5})
    assert collected(succeeded)[-1] == "results {'out': 5}"
    [message] = caplog.messages
    assert message.startswith("What mine of run first of align pushed cannot be read: ")


def test_old_reports_are_pruned_and_those_that_nobody_waits_for(collector: RunCollector) -> None:
    """Once an hour, so by a service that starts."""
    add_run()
    add_task("a", "success", 1, 2)
    end_run("failed", 3)
    assert len(collected(collector)) == 4
    rows.remove_rows()
    old = outbox.to_naive_utc(datetime.now(timezone.utc) - timedelta(days=9))
    with create_session() as session:
        session.execute(sa.update(outbox.REPORTS).where(outbox.REPORTS.c.id == 1).values(delivered_at=old))
        session.execute(sa.update(outbox.REPORTS).where(outbox.REPORTS.c.id == 2).values(happened_at=old))
    collector.collect(True)
    assert len(reports()) == 4
    RunCollector(create_session).collect(True)
    assert [each["state"] for each in reports()] == ["success", "running", "failed"]
    RunCollector(create_session).collect(False)
    assert [each["state"] for each in reports()] == ["running", "failed"]


def test_it_says_how_much_is_new(collector: RunCollector, caplog: pytest.LogCaptureFixture) -> None:
    add_run()
    add_task("a", "running", 1)
    with caplog.at_level(logging.DEBUG, "cwl_airflow.reports.collect"):
        collector.collect(True)
    assert caplog.messages == ["Run first of align: 1 new"]
