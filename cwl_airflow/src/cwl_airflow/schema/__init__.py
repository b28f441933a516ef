"""Our own tables in Airflow's database, each change of which is a revision in ``versions``."""

from __future__ import annotations

from .migrations import VERSION_TABLE, SchemaBusy, compare_revision, upgrade

__all__ = ["VERSION_TABLE", "SchemaBusy", "compare_revision", "upgrade"]
