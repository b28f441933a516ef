"""What Airflow is told of a site with several hosts."""

from __future__ import annotations

import logging
import logging.config
import ssl
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from airflow.utils.log.log_reader import TaskLogReader

from cwl_airflow import cluster


def test_a_host_is_known_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__HOST_ADDRESS", "192.0.2.21")
    assert cluster.host_address() == "192.0.2.21"


def test_the_database_must_be_who_it_says() -> None:
    context = cluster.ASYNC_DATABASE["ssl"]
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.fixture
def configured() -> Iterator[None]:
    """Set the loggers of tasks as Airflow does with this configuration."""
    logger = logging.getLogger("airflow.task")
    before = list(logger.handlers)
    try:
        logging.config.dictConfig({**cluster.LOGGING, "incremental": False, "root": {"handlers": []}})
        yield
    finally:
        logger.handlers[:] = before


@pytest.mark.usefixtures("configured")
def test_logs_of_other_hosts_are_read_over_https() -> None:
    handler = TaskLogReader().log_handler
    assert isinstance(handler, cluster.EncryptedTaskHandler)
    task = SimpleNamespace(hostname="192.0.2.21", triggerer_job=None)
    assert handler._get_log_retrieval_url(task, "a/b.log") == ("https://192.0.2.21:8793/log/a/b.log", "a/b.log")
    assert handler._get_log_retrieval_url(SimpleNamespace(hostname=""), "a/b.log") == (None, None)
