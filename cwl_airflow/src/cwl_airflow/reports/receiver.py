"""The receiver of reports: how they are signed, and posted to it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jwt
import requests

from .outbox import Report

#: Airflow's connection that names the receiver.
CONNECTION = "process_report"
#: Airflow's Variables with the private key and its algorithm.
KEY_VARIABLE, ALGORITHM_VARIABLE = "process_report_private_key", "process_report_algorithm"
#: For how long a receiver may take to accept a connection and to answer, in seconds.
TIMEOUT = (5, 20)


class ReceiverMisconfigured(Exception):
    """Something that is set cannot be used; the message says what and how to mend it."""


class ReceiverUnreachable(Exception):
    """The receiver is not there."""


class ReportRefused(Exception):
    """The receiver did not take a report."""


@dataclass(frozen=True)
class Signature:
    """How reports are signed."""

    key: str = field(repr=False)
    algorithm: str

    def __post_init__(self) -> None:
        """Sign something with the key.

        :raises ReceiverMisconfigured: it cannot sign.
        """
        if self.algorithm.lower() in ("", "none"):
            raise ReceiverMisconfigured(
                f"{ALGORITHM_VARIABLE} is '{self.algorithm}': "
                f"set it to the algorithm of {KEY_VARIABLE}, for instance RS256"
            )
        try:
            self.sign({})
        except Exception as error:  # PyJWT and cryptography have many
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            said = re.sub(r" at 0x[0-9a-f]+", "", said)  # it would be another error each time
            raise ReceiverMisconfigured(
                f"{KEY_VARIABLE} cannot sign with {ALGORITHM_VARIABLE} {self.algorithm}: {said}: "
                "set a private key in PEM that fits"
            ) from None

    def sign(self, payload: Mapping[str, Any]) -> str:
        """Return the JWT with a payload as its claims.

        Source: RFC 7519.
        """
        return jwt.encode(dict(payload), _parse_key(self.key, self.algorithm), algorithm=self.algorithm)


@lru_cache(maxsize=1)
def _parse_key(key: str, algorithm: str) -> Any:
    """Return a key as PyJWT takes it: to read one of 4096 bits takes 0.4 s of CPU, to sign with it 0.007."""
    return jwt.get_algorithm_by_name(algorithm).prepare_key(key)


@dataclass(frozen=True)
class ReportReceiver:
    """Where reports are posted to."""

    url: str
    login: tuple[str, str] | None = field(default=None, repr=False)
    signature: Signature | None = None

    def encode_body(self, payload: Mapping[str, Any]) -> bytes:
        """Return what is posted."""
        return json.dumps({"payload": self.signature.sign(payload) if self.signature else payload}).encode()

    def post(self, session: requests.Session, report: Report) -> None:
        """Post a report.

        :raises ReceiverUnreachable: the receiver cannot be reached.
        :raises ReportRefused: it answered that it did not take the report, or did not answer in time.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": report.key}
        try:
            # A redirect would turn the POST into a GET, which answers 200.
            answer = session.post(
                self.url + report.route,
                data=self.encode_body(report.payload),
                headers=headers,
                auth=self.login,
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except requests.ConnectionError as error:
            raise ReceiverUnreachable(f"{self.url} cannot be reached: {innermost_message(error)}") from None
        except requests.RequestException as error:
            raise ReportRefused(f"{self.url}{report.route}: {error}") from None
        if not 200 <= answer.status_code < 300:
            raise ReportRefused(f"{self.url}{report.route} answered {answer.status_code}: {answer.text[:200]!r}")


def innermost_message(error: BaseException) -> str:
    """Return what the innermost of some errors says: those of the libraries around it repeat the URL."""
    while (inner := getattr(error, "reason", None) or next(iter(error.args), None)) and isinstance(inner, Exception):
        error = inner
    return str(error).rpartition(": ")[2]


def connection_url(host: str | None, schema: str | None, port: int | None, extra: Mapping[str, Any]) -> str:
    """Return the URL that a connection names, as Airflow's HTTP hook reads it, with a slash at its end.

    :param extra: ``endpoint`` is the path below which the routes are.
    :raises ReceiverMisconfigured: it names none.
    """
    if not host:
        raise ReceiverMisconfigured(f"The connection {CONNECTION} has no host: set one")
    base = host if "://" in host else f"{schema or 'http'}://{host}"
    endpoint = str(extra.get("endpoint") or "").strip("/")
    return "/".join(part for part in (base.rstrip("/") + (f":{port}" if port else ""), endpoint) if part) + "/"
