"""What Airflow loads in each of its processes, so that its api-server takes signed tokens: see `airflow_auth`."""

from __future__ import annotations

from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin


def take_signed_tokens(app: Any) -> Any:
    """Return an application of ASGI that is before Airflow's."""
    # Only now: other processes have no use for it.
    from .airflow_auth import TokenMiddleware

    return TokenMiddleware(app)


class SignedTokens(AirflowPlugin):
    """Lets signed tokens open Airflow's REST API."""

    name = "cwl_airflow_signed_tokens"
    fastapi_root_middlewares = [{"name": "Signed tokens", "middleware": take_signed_tokens}]  # noqa: RUF012
