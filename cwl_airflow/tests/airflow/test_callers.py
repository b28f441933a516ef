"""Who starts a run is noted in it, whoever makes it: asked of a real api-server in this process, with real tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import rows
import sqlalchemy as sa
from airflow.models import DagRun, TaskInstance
from airflow.sdk import DAG
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from cwl_airflow.callers import KEY, NOBODY, Caller, CallerMiddleware, acting_as, unrestricted_caller

THIS_HOST = unrestricted_caller("this host")
JOB = {"job": {"word": "hello"}}


@pytest.mark.parametrize(
    ("made_by", "caller"),
    [
        (DagRunTriggeredByType.CLI, THIS_HOST),
        (DagRunTriggeredByType.TIMETABLE, THIS_HOST),
        (None, THIS_HOST),
        (DagRunTriggeredByType.UI, NOBODY),
        (DagRunTriggeredByType.REST_API, NOBODY),
        (DagRunTriggeredByType.OPERATOR, NOBODY),
    ],
)
def test_without_a_request_only_the_host_itself_may_all(made_by: Any, caller: Caller) -> None:
    assert Caller.of(DagRun("a", "b", conf=JOB, triggered_by=made_by).conf) == caller


def test_what_a_configuration_says_itself_is_written_over() -> None:
    with acting_as(Caller("eve", frozenset({"mine"}), False)):
        run = DagRun("a", "b", conf={**JOB, KEY: {"name": "root", "reads": "all", "documents": True}})
    assert Caller.of(run.conf) == Caller("eve", frozenset({"mine"}), False)
    assert run.conf["job"] == JOB["job"]


def test_a_run_without_a_configuration_stays_without() -> None:
    assert DagRun("a", "b").conf == {}
    assert DagRun("a", "b", conf={"x": 1}).conf == {"x": 1}
