"""What a broker lacks of its definitions."""

from __future__ import annotations

from typing import Any

import pytest
from missing_definitions import FilterModule, missing_definitions

USER = {"name": "airflow", "tags": [], "password_hash": "x"}
RIGHT = {"user": "airflow", "vhost": "cwl", "configure": ".*"}
WANTED = {"users": [USER], "permissions": [RIGHT]}


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (WANTED, []),
        ({"users": [{"name": "other"}, USER | {"limits": {}}], "permissions": [RIGHT], "queues": []}, []),
        ({"users": [USER | {"password_hash": "y"}], "permissions": [RIGHT]}, ["users"]),
        ({"users": [USER], "permissions": [RIGHT | {"vhost": "/"}]}, ["permissions"]),
        ({"users": [], "permissions": []}, ["users", "permissions"]),
        ({}, ["users", "permissions"]),
    ],
)
def test_what_a_broker_lacks_is_told(found: Any, missing: list[str]) -> None:
    assert missing_definitions(WANTED, found) == missing


def test_ansible_finds_the_filter() -> None:
    assert FilterModule().filters() == {"missing_definitions": missing_definitions}
