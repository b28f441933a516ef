"""What a JSON Web Token allows: to trigger one run, or to make one request.

A *trigger token* comes in the body of the request. Its claims are that body without ``token``: ``run_id`` and ``conf``.
A *request token* comes in the header ``Authorization: Bearer``. Its claims say what the request does:

- ``exp``: when it ends; ``sub``: who asks (for the log)
- ``method`` and ``path``: as in the request, with its query if it has one: ``GET``, ``/api/v2/dags?limit=10``
- ``sha256``: of the body, in hexadecimal. Uploads (``multipart/form-data``) may do without, other bodies not.

Source: RFC 7519 (JSON Web Token), RFC 8725 (its best current practices)
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jwt

from ... import strict_json

#: Claims about a trigger token itself, beside those that equal the body.
OWN_CLAIMS = frozenset({"exp", "nbf", "iat", "jti", "iss", "sub", "dag_id"})
#: What a request token must say.
REQUEST_CLAIMS = ("exp", "sub", "method", "path")
#: Requests that change nothing. A token for any other is good for one request.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: RFC 7518, section 3.2: a shared secret is at least as long as the hash.
SHORTEST_SECRET = 32


class TokenRefused(Exception):
    """A token that is not accepted; the message says why, and nothing of the token or the key."""


class TokensMisconfigured(Exception):
    """A key or an algorithm that cannot check anything; the message names the Variable and the fix."""


@dataclass(frozen=True)
class VerificationKey:
    """The key that tokens are checked with, and the only algorithm that they may have.

    :param text: a public key (PEM or OpenSSH), or with an algorithm HS* the shared secret.
    :param algorithm: its name of RFC 7518, for instance ``RS256`` or ``ES256``.
    :raises Misconfigured: the two do not fit.
    """

    text: str
    algorithm: str

    def __post_init__(self) -> None:
        """Check that the two fit: a public key that is taken for a shared secret lets everybody in."""
        algorithms = sorted(name for name in jwt.PyJWS().get_algorithms() if name != "none")
        if self.algorithm not in algorithms:
            raise TokensMisconfigured(
                f"jwt_backend_algorithm is '{self.algorithm}': it may be one of {', '.join(algorithms)}"
            )
        if "PRIVATE KEY" in self.text:
            raise TokensMisconfigured("jwt_backend_public_key is a private key: give the public key that belongs to it")
        if self.algorithm.startswith("HS") and len(self.text.encode()) < SHORTEST_SECRET:
            raise TokensMisconfigured(
                f"jwt_backend_public_key is too short for {self.algorithm}: give {SHORTEST_SECRET} bytes or more"
            )
        try:
            jwt.get_algorithm_by_name(self.algorithm).prepare_key(self.text)
        except (jwt.InvalidKeyError, ValueError, TypeError) as error:
            raise TokensMisconfigured(f"jwt_backend_public_key is no key for {self.algorithm}: {error}") from error


def verify_token(token: Any, key: VerificationKey, required: Iterable[str] = ()) -> dict[str, Any]:
    """Return the claims of a token.

    :param token: what came with the request.
    :param key: what it must be signed with.
    :param required: names of claims that it must have.
    :raises Refused: it is no token, not signed so, ended, or lacks a claim.
    """
    if not isinstance(token, str) or not token:
        raise TokenRefused("the token is no text")
    # Clocks differ: when a token was issued says nothing about whether it is good.
    options: Any = {"require": list(required), "verify_iat": False}
    try:
        claims: dict[str, Any] = jwt.decode(token, key.text, algorithms=[key.algorithm], options=options)
        strict_json.check_value(claims)
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        # The head of a token is read before its signature.
        too_deep = any(isinstance(each, RecursionError) for each in (error, error.__context__))
        raise TokenRefused("the token is nested too deep" if too_deep else f"{error}".rstrip(".")) from error
    return claims


def is_request_token(token: str | None) -> bool:
    """Tell whether a token is meant as a request token, whoever signed it: Airflow's own say nothing of a request."""
    return {"method", "path"} <= _unverified_claims(token).keys()


def is_token_of_airflow(token: str | None) -> bool:
    """Tell whether a token is meant as a login of Airflow's, whoever signed it: these say for whom they are."""
    claims = _unverified_claims(token)
    return "aud" in claims and not {"method", "path"} & claims.keys()


def _unverified_claims(token: str | None) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(token or "", options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return {}
    return claims


def check_trigger_claims(claims: Mapping[str, Any], body: Mapping[str, Any], dag_id: str) -> None:
    """Check that a trigger token is about a request.

    :param claims: what the token says.
    :param body: the body of the request without ``token``.
    :param dag_id: the DAG that is to run.
    :raises Refused: it is about another one.
    """
    signed = {name: value for name, value in claims.items() if name not in OWN_CLAIMS or name in body}
    # As text, because in Python 1, 1.0 and true are equal.
    if _canonical_json(signed) != _canonical_json(body):
        raise TokenRefused("the claims are not equal to the body without 'token'")
    if set(signed) - OWN_CLAIMS != {"run_id", "conf"}:
        raise TokenRefused("the claims must be run_id and conf")
    if "dag_id" in claims and claims["dag_id"] != dag_id:
        raise TokenRefused("the token is for another DAG")


def check_request_claims(
    claims: Mapping[str, Any], method: str, path: str, query: str, content_type: str, body: bytes
) -> None:
    """Check that a request token is about a request.

    :param claims: what the token says, with `REQUEST_CLAIMS`.
    :param method: of the request.
    :param path: of the request, decoded.
    :param query: of the request, as it was sent.
    :param content_type: of the body, without parameters; empty if there is none.
    :param body: as it was sent.
    :raises Refused: it is about another one.
    """
    if claims["method"] != method:
        raise TokenRefused("the token is for another method")
    # Compared as the server understands them: clients write the same address in several ways.
    try:
        signed = urlsplit(str(claims["path"]))
    except ValueError as error:
        raise TokenRefused("the claim path is no path") from error
    if unquote(signed.path) != path or _query_pairs(signed.query) != _query_pairs(query):
        raise TokenRefused("the token is for another path")
    if "sha256" in claims:
        if not hmac.compare_digest(str(claims["sha256"]).lower().encode(), hashlib.sha256(body).hexdigest().encode()):
            raise TokenRefused("the token is for another body")
    elif body and content_type != "multipart/form-data":
        raise TokenRefused("the token lacks the claim sha256, which this body needs")


def token_digest(token: str) -> str:
    """Return what tells a token from others: the SHA-256 of what is signed, as signatures may have several forms."""
    return hashlib.sha256(token.rpartition(".")[0].encode()).hexdigest()


def _canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _query_pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)
