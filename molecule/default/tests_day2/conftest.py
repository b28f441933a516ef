"""What the tests of day two share."""

from __future__ import annotations

import re

import pytest
from dags import Dag


@pytest.fixture
def dag(host, request):
    """Return a DAG that is removed afterwards."""
    made = Dag(host, re.sub(r"[^a-z0-9]+", "-", request.node.name.split("[")[0]))
    try:
        yield made
    finally:
        made.remove()
