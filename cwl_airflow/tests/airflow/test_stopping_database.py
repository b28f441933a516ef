"""The rows of a run that is stopped, in a real database of Airflow."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from airflow.models import DagRun, TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from cwl_airflow.stopping import database
from cwl_airflow.stopping.model import RunRows, StartedTask
from rows import DAG, RUN, add_run, add_task, at, change_task, find_tasks, push

pytestmark = pytest.mark.usefixtures("clean_database")


def states() -> dict[str, str | None]:
    with create_session() as session:
        return {
            f"{row.task_id} {row.map_index}": row.state
            for row in session.execute(sa.select(TaskInstance.task_id, TaskInstance.map_index, TaskInstance.state))
        }


def task_instances() -> list[str]:
    with create_session() as session:
        return [str(row.id) for row in find_tasks(session)]


def run_state() -> str:
    with create_session() as session:
        return str(session.scalar(sa.select(DagRun._state)))


def test_what_has_not_ended_fails_or_is_skipped() -> None:
    add_run(conf={"job": {"tmp_folder": "/a", "outputs_folder": "", "reads": {"class": "File"}}})
    add_task("runs", "running", 1, hostname="here", external_executor_id="7")
    add_task("waits", "scheduled")
    add_task("queued", "queued")
    add_task("done", "success", 1, 2, hostname="here", external_executor_id="8")
    add_task("failed", "failed", 1, 2, hostname="there", external_executor_id="9")
    add_task("share", "up_for_retry", 1, 2, map_index=3, hostname="there")
    rows = database.mark_failed(DAG, RUN)
    assert rows and (rows.job, rows.reports) == ({"tmp_folder": "/a"}, [])
    assert sorted(rows.unsure, key=lambda task: task.name) == [
        StartedTask("failed", "there", "9"),
        StartedTask("runs", "here", "7"),
        StartedTask("share [3]", "there", None),
    ]
    assert run_state() == "failed"
    expected = {
        "runs -1": "failed", "waits -1": "skipped", "queued -1": "skipped", "done -1": "success",
        "failed -1": "failed", "share 3": "failed",
    }  # fmt: skip
    assert states() == expected
    # Again: what began is still unsure.
    assert database.mark_failed(DAG, RUN) == rows
    assert states() == expected


def test_a_run_that_has_ended_stays_as_it_was() -> None:
    add_run(state="success")
    add_task("a", "success", 1, 2, hostname="here")
    assert database.mark_failed(DAG, RUN) == RunRows([], None, [], task_instances())
    assert run_state() == "success"


def test_there_is_no_such_run() -> None:
    add_run()
    add_task("a", "running", 1)
    assert database.mark_failed(DAG, "other") is None
    assert database.mark_failed("other", RUN) is None
    assert states() == {"a -1": "running"}


@pytest.mark.parametrize(
    ("conf", "job"),
    [
        (None, None),
        ({}, None),
        ({"job": "/job.yml"}, "/job.yml"),
        ({"job": {"outputs_folder": "b", "a": 1}}, {"outputs_folder": "b"}),
        ({"job": ["no", "job"]}, None),
    ],
)
def test_of_a_job_its_folders_are_known(conf: Any, job: Any) -> None:
    add_run(conf=conf)
    rows = database.mark_failed(DAG, RUN)
    assert rows and rows.job == job


def test_reports_of_tasks_are_found() -> None:
    add_run()
    values = {"b": "/b/report.json", "a": "/a/report.json", "relative": "c.json", "text": "/d.txt", "number": 5}
    for name, value in values.items():
        add_task(name, "success", 1, 2)
        push(name, "return_value", value)
    push("a", "other", "/e.json")
    for name, stored in (("unreadable", "{"), ("deep", "[" * 100_000)):
        add_task(name, "success", 1, 2)
        push(name, "return_value", None, stored=stored)
    add_task("classed", "success", 1, 2)
    push("classed", "return_value", {"__classname__": "of.nobody", "__version__": 1, "__data__": "/f.json"})
    rows = database.mark_failed(DAG, RUN)
    assert rows and rows.reports == ["/a/report.json", "/b/report.json"]


def begin_next_try(run_id: str = RUN) -> None:
    """Do as Airflow when the tasks of a run are to be tried again: each gets another id."""
    with create_session() as session:
        for task in find_tasks(session, run_id):
            task.prepare_db_for_next_try(session)


def test_a_try_that_was_cleared_while_it_ran_is_unsure() -> None:
    add_run()
    add_task("a", "running", 1, hostname="there", external_executor_id="1")
    first = task_instances()
    begin_next_try()
    # Its row has the host of the try before until it is started.
    change_task("a", state="queued", external_executor_id="2")
    rows = database.mark_failed(DAG, RUN)
    assert rows and rows.unsure == [StartedTask("a", "there", "1")]
    assert sorted(rows.task_instances) == sorted(first + task_instances())
    assert len(set(rows.task_instances)) == 2
    assert states() == {"a -1": "skipped"}
    assert database.mark_failed(DAG, RUN) == rows


def test_a_run_is_removed_with_its_tasks_and_nothing_else() -> None:
    for name, date in ((RUN, 0), ("other", 1)):
        add_run(name, logical_date=at(date))
        add_task("a", "failed", 1, 2, run_id=name)
        push("a", "return_value", "/a.json", run_id=name)
        begin_next_try(name)
    database.remove_run(DAG, RUN)
    with create_session() as session:
        for model in (DagRun, TaskInstance, TaskInstanceHistory, XComModel):
            assert list(session.scalars(sa.select(model.run_id))) == ["other"], model
    database.remove_run(DAG, RUN)
