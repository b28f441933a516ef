"""An Airflow with the package that tests share: it takes most of a minute, and needs PyPI."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from installed import Installation


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Return an installation that is configured; nothing runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Installation(tmp_path_factory.mktemp("installation"), port)
    made.install()
    made.configure()
    return made


@pytest.fixture(scope="session")
def site(installation: Installation) -> Iterator[Installation]:
    """Return an installation whose services run."""
    # Whoever has not set it up is told how.
    told = installation.run("cwl-airflow", "init")
    assert (told.returncode, "run airflow db migrate" in told.stdout) == (1, True), told.stdout
    assert installation.run("airflow", "db", "migrate").returncode == 0
    told = installation.run("cwl-airflow", "init")
    assert told.returncode == 0, told.stdout
    with installation.services():
        yield installation
