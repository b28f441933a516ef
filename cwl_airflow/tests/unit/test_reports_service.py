"""The service that reports works only when it is its turn."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa
from cwl_airflow.reports import service


def test_with_sqlite_it_is_always_ones_turn() -> None:
    assert service.SiteLock(sa.create_engine("sqlite://")).try_to_hold()


def test_whoevers_turn_it_is_not_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "INTERVAL", 0.01)
    asked, looked = [], []

    def is_our_turn() -> bool:
        asked.append(threading.current_thread())
        return False

    work = service.ReportService(
        lambda: pytest.fail("the database was asked"), lambda _: None, looked.append, is_our_turn
    )
    thread = threading.Thread(target=work.run)
    thread.start()
    deadline = time.monotonic() + 60
    while len(asked) < 10 or len(set(asked)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    work.stop.set()
    thread.join()
    assert looked == []
    assert not work.broken
