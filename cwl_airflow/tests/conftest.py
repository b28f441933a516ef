"""What all tests of the package share."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
from collections import defaultdict
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import settings

# A busy machine is no reason to fail: the first example may have to load Airflow.
settings.register_profile("full", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=5)
settings.load_profile("full")


# Airflow and cwltool stay loaded: looking for garbage among their objects took a fifth of the time.
gc.set_threshold(2_000_000, 50, 100)

#: How many of the examples of one test are enough at first.
FEW_EXAMPLES = 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what is marked `full`, and most examples of a test that has many, to `make test` and to who names one.

    pytest says how many tests that are.
    """
    if settings.get_current_profile_name() != "quick" or any("::" in argument for argument in config.args):
        return
    tests: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        tests[item.nodeid.partition("[")[0]].append(item)
    chosen = {
        item
        for examples in tests.values()
        for item in spread(examples, FEW_EXAMPLES)
        if not item.get_closest_marker("full")
    }
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = [item for item in items if item in chosen]


def spread(items: Sequence[pytest.Item], count: int) -> Sequence[pytest.Item]:
    """Return so many of them, the first and the last among them."""
    if len(items) <= count:
        return items
    return [items[round(place * (len(items) - 1) / (count - 1))] for place in range(count)]


#: What is done with the signals that commands and Airflow take on.
HANDLERS = {
    number: signal.getsignal(number)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)
}


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure() -> None:
    """Let nobody look for garbage at the end: pytest does five times, in 3 s where Airflow is loaded."""
    gc.freeze()


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
