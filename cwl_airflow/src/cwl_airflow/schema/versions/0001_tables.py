"""Make the tables of reports and tokens, which a host may have from before there were revisions."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from airflow.models.base import StringID
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op
from sqlalchemy.dialects.mysql import DATETIME, LONGTEXT

revision = "0001"
down_revision = None

_MYSQL_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime().with_variant(DATETIME(fsp=6), "mysql")
_NAME = sa.String(250)

# These describe the tables as they were at this revision, whatever the code says now.
_metadata = sa.MetaData()
sa.Table(
    "cwl_reports",
    _metadata,
    sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("event", sa.String(64), nullable=False, unique=True),
    sa.Column("dag_run_id", _NUMBER, nullable=False),
    sa.Column("dag_id", _NAME, nullable=False),
    sa.Column("run_id", _NAME, nullable=False),
    sa.Column("route", sa.String(16), nullable=False),
    sa.Column("payload", sa.Text().with_variant(LONGTEXT(), "mysql"), nullable=False),
    sa.Column("happened_at", _TIME, nullable=False),
    sa.Column("delivered_at", _TIME),
    sa.Index("cwl_reports_delivered", "delivered_at", "id"),
    **_MYSQL_OPTIONS,
)
sa.Table(
    "cwl_report_runs",
    _metadata,
    sa.Column("dag_run_id", _NUMBER, primary_key=True, autoincrement=False),
    sa.Column("dag_id", _NAME, nullable=False),
    sa.Column("run_id", _NAME, nullable=False),
    sa.Column("logical_date", sa.String(40), nullable=False),
    sa.Column("clear_number", sa.Integer, nullable=False),
    sa.Column("progress", sa.Integer, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False),
    **_MYSQL_OPTIONS,
)
sa.Table(
    "cwl_report_times",
    _metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("at", _TIME, nullable=False),
    **_MYSQL_OPTIONS,
)
sa.Table(
    "cwl_accepted_runs",
    _metadata,
    sa.Column("dag_id", StringID(), primary_key=True),
    sa.Column("run_id", StringID(), primary_key=True),
    sa.Column("created", UtcDateTime, nullable=False),
)
sa.Table(
    "cwl_used_tokens",
    _metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("expires", UtcDateTime),
)


def upgrade() -> None:
    """Make those of the tables that are not there."""
    _metadata.create_all(op.get_bind(), checkfirst=True)
