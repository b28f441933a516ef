"""What Airflow's plug-in manager loads of this package: who starts a run, and signed tokens at the api-server."""

from __future__ import annotations

from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from .callers import CallerMiddleware
from .watchdog import WatchdogMiddleware


def take_signed_tokens(app: Any) -> Any:
    """Return an application of ASGI that knows signed tokens, before Airflow's; Airflow's if the site takes none."""
    if not conf.get("cwl", "jwt_user", fallback=""):
        return app
    # Only now: other processes have no use for it.
    from .api.tokens.airflow_auth import TokenMiddleware

    return TokenMiddleware(app)


class CWLAirflowPlugin(AirflowPlugin):
    """The plug-in of this package."""

    name = "cwl_airflow"
    # The last one is asked first: the others know Airflow's own tokens only.
    fastapi_root_middlewares: list[Any] = [  # noqa: RUF012  # as the base has it
        {"name": "Who starts a run", "middleware": CallerMiddleware, "args": [], "kwargs": {}},
        {"name": "Watchdog", "middleware": WatchdogMiddleware, "args": [], "kwargs": {}},
        {"name": "Signed tokens", "middleware": take_signed_tokens, "args": [], "kwargs": {}},
    ]
