"""The service of this site: with Airflow's database and what is set in Airflow."""

from __future__ import annotations

from airflow.settings import get_engine
from airflow.utils.session import create_session

from ..schema import upgrade
from .collect import RunCollector
from .service import ReportService, SiteLock
from .settings import read_receiver


def make_report_service() -> ReportService:
    """Return the service of this site, whose tables are there then."""
    engine = get_engine()  # type: ignore[no-untyped-call]
    upgrade(engine)
    return ReportService(
        create_session, read_receiver, RunCollector(create_session).collect, SiteLock(engine).try_to_hold
    )
