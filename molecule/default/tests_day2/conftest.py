"""What the tests of day two share."""

from __future__ import annotations

import re

import pytest
from api import made_user
from dags import Dag


@pytest.fixture
def dag(host, request):
    """Return a DAG that is removed afterwards."""
    made = Dag(host, re.sub(r"[^a-z0-9]+", "-", request.node.name.split("[")[0]))
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def viewer(host):
    """Return the login of a user who may only read."""
    with made_user(host, "looks", "Viewer") as made:
        yield made


@pytest.fixture
def user(host):
    """Return the login of a user who may trigger and stop, but not add documents."""
    with made_user(host, "uses", "User") as made:
        yield made
