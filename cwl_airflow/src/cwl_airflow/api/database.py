"""Airflow's database, as far as this thread uses it."""

from __future__ import annotations

from typing import Any

from airflow import settings


def get_engine() -> Any:
    """Return the engine, which Airflow makes when it is imported."""
    return settings.engine


def end_session() -> None:
    """End what this thread began to read: nobody else would, and the next request would see what was then."""
    session: Any = settings.Session  # a scoped one, which Airflow does not say
    session.remove()
