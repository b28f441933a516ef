"""What all tests of the package share."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A busy machine is no reason to fail: the first example may have to load Airflow.
settings.register_profile("full", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("full")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what is marked `full` to `make test`; pytest says how many tests that are."""
    if settings.get_current_profile_name() != "quick":
        return
    left = [item for item in items if item.get_closest_marker("full")]
    items[:] = [item for item in items if not item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=left)


#: What is done with the signals that commands and Airflow take on.
HANDLERS = {
    number: signal.getsignal(number)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)
}


@pytest.fixture(autouse=True)
def signals_left_alone() -> Iterator[None]:
    """Give back the signals that a command took on in this process: what a later test starts would inherit that."""
    yield
    for number, handler in HANDLERS.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def orphans_left_alone() -> Iterator[None]:
    """Give back what a step takes on in its process: to be the parent of orphans (PR_SET_CHILD_SUBREAPER)."""
    yield
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)


@pytest.fixture
def only_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave Airflow's options to a file that the test names: those in the environment win, and other tests set some."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        monkeypatch.delenv(name)
