"""What all tests of the package share."""

from __future__ import annotations

import ctypes
import os
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
