"""The service of this site: its reports, and what it tells beside them."""

from __future__ import annotations

import importlib

from airflow.utils.session import create_session

from ..reports import outbox
from ..reports.service import ReportService
from ..reports.site import make_report_service
from .service import Notices
from .settings import read_settings
from .watch import Problems


def make_service() -> ReportService:
    """Return the service of this site, whose tables are there then.

    :raises NoticesMisconfigured: who is told cannot be read.
    """
    settings = read_settings()
    service = make_report_service()
    if settings is None or settings.mail is None:
        with create_session() as session:
            outbox.forget_mails(session)
    if settings is not None:
        # Before there are threads, see `ReportService.run`.
        importlib.import_module("cwl_airflow.pages.status")
        service.actions.append(Notices(settings, create_session, service.must_rest, find_problems).work)
    return service


def find_problems() -> Problems:
    """Return what is wrong with the site and with the units of this host, also while the database is away."""
    # Not above, as it loads more of Airflow, which few sites need here.
    from ..pages.status import OK, check_parts
    from ..units import local_units

    parts, _ = check_parts(None)
    wrong = {part.name: part.text for part in parts if part.state != OK}
    return wrong | {unit["name"]: unit["text"] for unit in local_units()}
