"""Stopping a run of this site, where there is nothing that could be asked to."""

from __future__ import annotations

import sys

import pytest
from cwl_airflow.stopping.model import NotStopped
from cwl_airflow.stopping.site import stop_run


def test_an_airflow_without_celery(airflow_home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "airflow.providers.celery.executors.celery_executor_utils"
    monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]
    with pytest.raises(NotStopped, match=r"this Airflow has no Celery .*: mark the run as failed"):
        stop_run("a", "b")
