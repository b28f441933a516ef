"""What was accepted once and is not again: runs that a token started, and tokens that changed something.

Both are in tables of ours in Airflow's database, whose unique keys decide when two requests come at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow.models.base import StringID
from airflow.utils.sqlalchemy import UtcDateTime
from sqlalchemy import Column, MetaData, String, Table
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from ..database import get_engine

#: 2038, in seconds since 1970.
LAST_DATE = 2**31 - 1

_metadata = MetaData()
#: Kept for ever, also when Airflow's own rows of the run are gone.
RUNS = Table(
    "cwl_accepted_runs",
    _metadata,
    Column("dag_id", StringID(), primary_key=True),
    Column("run_id", StringID(), primary_key=True),
    Column("created", UtcDateTime, nullable=False),
)
#: Kept until the token ends.
TOKENS = Table(
    "cwl_used_tokens",
    _metadata,
    Column("digest", String(64), primary_key=True),
    Column("expires", UtcDateTime),
)


class NotAccepted(Exception):
    """The run or the token was accepted before, or cannot be noted; the message says which."""


@dataclass(frozen=True)
class Acceptance:
    """What one request used up."""

    rows: tuple[tuple[Table, Mapping[str, Any]], ...]

    def withdraw(self) -> None:
        """Give it free again, as the request did nothing."""
        with get_engine().begin() as connection:
            for table, row in self.rows:
                keys = [column == row[column.name] for column in table.primary_key.columns]
                connection.execute(table.delete().where(*keys))


def use_up(digest: str, expires: float | None, run: tuple[str, str] | None = None) -> Acceptance:
    """Note what a request with a token uses up.

    :param digest: of the token.
    :param expires: its claim ``exp``, in seconds since 1970.
    :param run: DAG and run that it starts.
    :raises NotAccepted: it was used up before; the message says what.
    """
    now = datetime.now(timezone.utc)
    # What ends after the last date that MySQL's TIMESTAMP holds is kept for ever.
    end = datetime.fromtimestamp(expires, tz=timezone.utc) if expires is not None and expires < LAST_DATE else None
    rows: list[tuple[Table, dict[str, Any]]] = [(TOKENS, {"digest": digest, "expires": end})]
    if run:
        rows.append((RUNS, {"dag_id": run[0], "run_id": run[1], "created": now}))
    with suppress(DBAPIError), get_engine().begin() as connection:  # the next request does it
        connection.execute(TOKENS.delete().where(TOKENS.c.expires < now))
    # One by one, so that the message is about the one that is there.
    with get_engine().begin() as connection:
        for table, row in rows:
            try:
                connection.execute(table.insert().values(**row))
            except IntegrityError as error:
                raise NotAccepted(
                    f"run_id '{run[1]}' of DAG '{run[0]}' was accepted before"
                    if run and table is RUNS
                    else "the token was used before"
                ) from error
            except DataError as error:  # too long, or not in the database's alphabet
                raise NotAccepted(f"run_id or DAG cannot be stored: {run}") from error
    return Acceptance(tuple(rows))
