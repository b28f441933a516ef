"""The session of Airflow's database that belongs to this thread."""

from __future__ import annotations

from typing import Any

from airflow import settings


def end_session() -> None:
    """End what this thread began to read: nobody else would, and the next request would see what was then."""
    session: Any = settings.Session  # a scoped one, which Airflow does not say
    session.remove()
