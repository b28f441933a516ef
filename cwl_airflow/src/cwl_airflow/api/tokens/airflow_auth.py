"""An authentication backend for Airflow's REST API: requests with a JSON Web Token, see `tokens`.

A request acts as the Airflow user that ``[cwl] jwt_user`` names, with that user's roles.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from airflow import settings
from airflow.configuration import conf
from airflow.www.extensions.init_auth_manager import get_auth_manager
from flask import Response, g, request
from flask_login import login_user

from ...schema import upgrade
from .claims import TokenRefused
from .requests import SignedRequest, accept_request, bearer_token

log = logging.getLogger(__name__)

CLIENT_AUTH = None


def init_app(_app: Any) -> None:
    """Create the table of used tokens."""
    upgrade(settings.engine)


def _log_in() -> None:
    """Make the user of tokens the one who asks.

    :raises Refused: the request has no token that is accepted.
    """
    token = bearer_token(request.headers.get("Authorization", ""))
    if token is None:
        raise TokenRefused("no token")
    # Airflow asks more than once for some requests, and a token may be good for one only.
    if g.get("cwl_token") == token:
        return
    name = conf.get("cwl", "jwt_user", fallback="")
    manager: Any = get_auth_manager().security_manager
    user = manager.find_user(username=name) if name else None
    if user is None or not user.is_active:
        log.error("No token is accepted: [cwl] jwt_user is '%s', which is no active user of Airflow", name)
        raise TokenRefused("the user of tokens is not there")
    caller, _ = accept_request(token, _signed_request())
    login_user(user, remember=False)
    g.cwl_token = token
    log.info("%s %s by %s as %s", request.method, request.path, caller, name)


def _signed_request() -> SignedRequest:
    """Return Flask's request as tokens are about it."""
    return SignedRequest(
        request.method,
        request.root_path + request.path,
        request.query_string.decode("latin-1"),
        request.mimetype,
        request.get_data,
    )


def requires_authentication(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate functions that require authentication."""

    @wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        try:
            _log_in()
        except TokenRefused as error:
            log.info("%s %s refused: %s", request.method, request.path, error)
            return Response("Unauthorized", 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return function(*args, **kwargs)

    return decorated
