"""Signed tokens at Airflow's own REST API: in its api-server, before Airflow looks at a request.

A request acts as the Airflow user that ``[cwl] jwt_user`` names, with that user's roles. Airflow takes only tokens of
its own: one that it makes for that user stands in place of the signed one, and never leaves the process.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.configuration import conf
from airflow.providers.fab.auth_manager.models import User
from airflow.utils.session import create_session
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from ...schema import upgrade
from ..bodies import BodyMiddleware
from ..database import get_engine
from ..problems import Answer
from .claims import TokenRefused, is_request_token
from .requests import accept_request, bearer_token, signed_request

log = logging.getLogger(__name__)

#: What takes signed tokens of all that the api-server serves.
REST_API = "/api/v2/"
#: For how long Airflow's own token is good, in seconds: it is looked at once, in the same request.
LIFETIME = 60


class TokenMiddleware:
    """An application of ASGI, which lets requests through to Airflow's."""

    def __init__(self, app: Any) -> None:
        """Create the table of used tokens."""
        upgrade(get_engine())
        self._app = app
        self._whole = BodyMiddleware(self._exchange)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let a request through as it is, unless it has a signed token."""
        signed = scope["type"] == "http" and _path(scope)[1].startswith(REST_API) and is_request_token(_token(scope))
        await (self._whole if signed else self._app)(scope, receive, send)

    async def _exchange(self, scope: Any, receive: Any, send: Any) -> None:
        """Let a request through with Airflow's own token, or refuse it."""
        try:
            own = await run_in_threadpool(_accept, scope)
        except TokenRefused as error:
            log.info("%s %s refused: %s", scope["method"], scope["path"], error)
            answer = Answer(401, f"Token refused: {error}.")
            answer.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
            await answer(scope, receive, send)
            return
        others = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
        await self._app({**scope, "headers": [*others, (b"authorization", f"Bearer {own}".encode())]}, receive, send)


def _accept(scope: Any) -> str:
    """Return a token of Airflow's own for the user of tokens.

    :raises TokenRefused: the request is not what its token says, or there is no such user.
    """
    name = conf.get("cwl", "jwt_user", fallback="")
    with create_session(scoped=False) as session:
        user = session.scalar(select(User).where(User.username == name)) if name else None
    if user is None or not user.is_active:
        log.error("No token is accepted: [cwl] jwt_user is '%s', which is no active user of Airflow", name)
        raise TokenRefused("the user of tokens is not there")
    caller, _ = accept_request(_token(scope) or "", signed_request(Request(scope), "".join(_path(scope))))
    log.info("%s %s by %s as %s", scope["method"], scope["path"], caller, name)
    own: str = get_auth_manager().generate_jwt(user, expiration_time_in_seconds=LIFETIME)
    return own


def _token(scope: Any) -> str | None:
    return bearer_token(Request(scope).headers.get("authorization", ""))


def _path(scope: Any) -> tuple[str, str]:
    """Return what a site has before Airflow's own paths, and Airflow's own: a proxy may have cut off the first."""
    path, before = scope["path"], scope.get("root_path", "").rstrip("/")
    return before, path.removeprefix(before) if path.startswith(f"{before}/") else path
