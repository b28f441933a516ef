"""Bring our tables in a database to the newest revision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

#: Where alembic notes the revision of our tables; that of Airflow's own is in ``alembic_version``.
VERSION_TABLE = "cwl_airflow_version"
#: For how long to wait for another process that changes the tables, in seconds.
LOCK_TIMEOUT = 60
#: Such a lock is the server's, so that it is named after the database.
_LOCK_NAME = "CONCAT('cwl_schema.', LEFT(SHA2(DATABASE(), 256), 40))"


class SchemaBusy(Exception):
    """Another process changes the tables and does not come to an end."""


def upgrade(engine: Engine) -> None:
    """Make our tables, or bring those that are there to the newest revision.

    Several processes may do so at once: each of them finds the tables there when this returns.

    :param engine: of Airflow's database.
    :raises SchemaBusy: another process has changed the tables for a minute.
    """
    with _hold_lock(engine), engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            # Takes SQLite's only lock for writing before the revision is read.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        command.upgrade(_make_config(connection), "head")


def compare_revision(engine: Engine) -> Literal["missing", "older", "current", "unknown"]:
    """Say what our tables in a database are, beside those that this release makes; nothing is changed.

    :param engine: of Airflow's database.
    :returns: ``unknown`` if a later release made them.
    """
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        found = context.get_current_revision()
        scripts = ScriptDirectory.from_config(_make_config(connection))
    if found is None:
        return "missing"
    if found == scripts.get_current_head():
        return "current"
    return "older" if found in {each.revision for each in scripts.walk_revisions()} else "unknown"


@contextmanager
def _hold_lock(engine: Engine) -> Iterator[None]:
    """Hold a lock of MySQL's, in a connection of its own: the lock ends with it, whatever happens."""
    if engine.dialect.name != "mysql":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(sa.text(f"SELECT GET_LOCK({_LOCK_NAME}, {LOCK_TIMEOUT})")):
            raise SchemaBusy(f"The tables of cwl-airflow were changed by another process for {LOCK_TIMEOUT} s")
        try:
            yield
        finally:
            connection.scalar(sa.text(f"SELECT RELEASE_LOCK({_LOCK_NAME})"))


def _make_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
