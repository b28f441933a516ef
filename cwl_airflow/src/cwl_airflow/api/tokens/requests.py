"""Requests that carry a JSON Web Token, for the CWL API and for Airflow's REST API."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow.configuration import conf
from airflow.models import Variable
from starlette.requests import Request

from ..bodies import whole_body
from ..names import check_run_id
from . import claims as tokens
from .claims import TokenRefused, TokensMisconfigured, VerificationKey
from .used import LAST_DATE, Acceptance, NotAccepted, use_up

log = logging.getLogger(__name__)

PUBLIC_KEY = "jwt_backend_public_key"
ALGORITHM = "jwt_backend_algorithm"


@dataclass(frozen=True)
class SignedRequest:
    """A request as far as tokens are about it, whatever serves it."""

    method: str
    #: Decoded, with what a server has before its own paths.
    path: str
    #: As it was sent.
    query: str
    #: Of the body, in lower case and without parameters; empty if there is none.
    media_type: str
    #: Returns the body as it was sent.
    body: Callable[[], bytes]


def signed_request(request: Request, path: str) -> SignedRequest:
    """Return a request as tokens are about it, which `BodyMiddleware` let pass.

    :param path: as `SignedRequest` has it.
    """
    scope = request.scope
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    query = scope["query_string"].decode("latin-1")
    return SignedRequest(request.method, path, query, media_type, lambda: whole_body(scope))


def tokens_are_accepted() -> bool:
    """Tell whether tokens are checked at all."""
    return bool(Variable.get(PUBLIC_KEY, default_var=None))


def configured_key() -> VerificationKey:
    """Return the key that Airflow's Variables hold.

    :raises Refused: there is none, or it cannot check anything. Why is told in the log only.
    """
    text = Variable.get(PUBLIC_KEY, default_var=None)
    if not text:
        raise TokenRefused("this site accepts no tokens")
    try:
        return VerificationKey(text, Variable.get(ALGORITHM, default_var="RS256"))
    except TokensMisconfigured as error:
        log.error("No token can be checked: %s", error)
        raise TokenRefused("no token can be checked: the log of the service says why") from error


def required_claims() -> list[str]:
    """Return the claims that a trigger token must have, by ``[cwl] jwt_required_claims``."""
    return (conf.get("cwl", "jwt_required_claims", fallback="") or "").replace(",", " ").split()


def accept_trigger(body: dict[str, Any], dag_id: str) -> tuple[str, Acceptance]:
    """Check the token of a request that triggers a DAG, and use it up.

    :param body: of the request, with ``token``.
    :returns: who asks, for the log, and what was used up.
    :raises Refused: it is not accepted.
    """
    token = body["token"]
    claims = tokens.verify_token(token, configured_key(), required_claims())
    unsigned = {name: value for name, value in body.items() if name != "token"}
    tokens.check_trigger_claims(claims, unsigned, dag_id)
    if not isinstance(unsigned["run_id"], str):
        raise TokenRefused("run_id is no text")
    try:
        check_run_id(unsigned["run_id"])
    except ValueError as error:
        raise TokenRefused(f"{error}".rstrip(".")) from error
    used = _use_up(token, claims, (dag_id, unsigned["run_id"]))
    return f"token of {claims.get('sub', 'the key')}", used


def accept_request(token: str, asked: SignedRequest) -> tuple[str, Acceptance | None]:
    """Check the token of a request, and use it up if the request changes something.

    :param token: from the header ``Authorization``.
    :returns: who asks, for the log, and what was used up.
    :raises Refused: it is not accepted.
    """
    claims = tokens.verify_token(token, configured_key(), tokens.REQUEST_CLAIMS)
    body = asked.body() if "sha256" in claims or asked.media_type != "multipart/form-data" else b""
    tokens.check_request_claims(claims, asked.method, asked.path, asked.query, asked.media_type, body)
    used = None if asked.method in tokens.SAFE_METHODS else _use_up(token, claims)
    return f"token of {claims['sub']}", used


def _use_up(token: str, claims: dict[str, Any], run: tuple[str, str] | None = None) -> Acceptance:
    expires = None if claims.get("exp") is None else min(int(claims["exp"]), LAST_DATE)
    try:
        return use_up(tokens.token_digest(token), expires, run)
    except NotAccepted as error:
        raise TokenRefused(str(error)) from error


def bearer_token(header: str) -> str | None:
    """Return the token of the header ``Authorization``: empty if it is malformed, none if it holds no token."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
