"""What Airflow's plug-in manager loads of this package: who starts a run, signed tokens, parts of the pages."""

from __future__ import annotations

from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from .callers import CallerMiddleware
from .dags import notes
from .watchdog import WatchdogMiddleware


def take_signed_tokens(app: Any) -> Any:
    """Return an application of ASGI that knows signed tokens, before Airflow's; Airflow's if the site takes none."""
    if not conf.get("cwl", "jwt_user", fallback=""):
        return app
    # Only now: other processes have no use for it.
    from .api.tokens.airflow_auth import TokenMiddleware

    return TokenMiddleware(app)


class Pages:
    """The application of `pages.app`, made with the first request: other processes than the api-server have no use."""

    _app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request (ASGI)."""
        if self._app is None:
            from .pages.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)


def view(name: str, route: str, destination: str) -> dict[str, Any]:
    """Return a part of Airflow's pages that `pages/cwl.js` draws.

    :param name: what it is called there, and in the script.
    """
    return {"name": name, "url_route": route, "destination": destination, "bundle_url": "cwl/cwl.js"}


class CWLAirflowPlugin(AirflowPlugin):
    """The plug-in of this package."""

    name = "cwl_airflow"
    fastapi_apps: list[Any] = [{"name": "CWL pages", "app": Pages(), "url_prefix": "/cwl"}]  # noqa: RUF012
    react_apps: list[Any] = [  # noqa: RUF012
        view("CWL results", "cwl-results", "dag_run"),
        view("CWL workflow", "cwl-workflow", "dag"),
        view("CWL", "cwl", "nav"),
    ]
    listeners: list[Any] = [notes]  # noqa: RUF012
    # The last one is asked first: the others know Airflow's own tokens only.
    fastapi_root_middlewares: list[Any] = [  # noqa: RUF012  # as the base has it
        {"name": "Who starts a run", "middleware": CallerMiddleware, "args": [], "kwargs": {}},
        {"name": "Watchdog", "middleware": WatchdogMiddleware, "args": [], "kwargs": {}},
        {"name": "Signed tokens", "middleware": take_signed_tokens, "args": [], "kwargs": {}},
    ]
