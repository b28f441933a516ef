"""Where reports go and how: connection ``process_report``, the key, and the Variable with its algorithm.

The key is the credential that systemd gives this service alone, or else a Variable, which every task can read.

Airflow's own ways to read a Variable say that there is none when the database is away or the Fernet key is another,
and the report would go out unsigned. So they are not used here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import jwt
import requests

from .outbox import Report

CONNECTION = "process_report"
KEY, ALGORITHM = "process_report_private_key", "process_report_algorithm"
CREDENTIAL = "report_private_key"
#: For how long a receiver may take to accept a connection and to answer, in seconds.
TIMEOUT = (5, 20)


class Unusable(Exception):
    """Something that is set cannot be used; the message says what and how to mend it."""


class Down(Exception):
    """The receiver is not there."""


class Refused(Exception):
    """The receiver did not take a report."""


@dataclass(frozen=True)
class Signature:
    """How reports are signed."""

    key: str = field(repr=False)
    algorithm: str

    def __post_init__(self) -> None:
        """Try the key.

        :raises Unusable: it cannot sign.
        """
        if self.algorithm.lower() in ("", "none"):
            raise Unusable(f"{ALGORITHM} is '{self.algorithm}': set it to the algorithm of {KEY}, for instance RS256")
        try:
            self.sign({})
        except Exception as error:  # PyJWT and cryptography have many
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            said = re.sub(r" at 0x[0-9a-f]+", "", said)  # it would be another error each time
            raise Unusable(
                f"{KEY} cannot sign with {ALGORITHM} {self.algorithm}: {said}: set a private key in PEM that fits"
            ) from None

    def sign(self, payload: Mapping[str, Any]) -> str:
        """Return the JWT with a payload as its claims.

        Source: RFC 7519.
        """
        return jwt.encode(dict(payload), _parsed(self.key, self.algorithm), algorithm=self.algorithm)


@lru_cache(maxsize=1)
def _parsed(key: str, algorithm: str) -> Any:
    """Return a key as PyJWT takes it: to read one of 4096 bits takes 0.4 s of CPU, to sign with it 0.007."""
    return jwt.get_algorithm_by_name(algorithm).prepare_key(key)


@dataclass(frozen=True)
class Receiver:
    """Where reports are posted to."""

    url: str
    login: tuple[str, str] | None = field(default=None, repr=False)
    signature: Signature | None = None

    def body(self, payload: Mapping[str, Any]) -> bytes:
        """Return what is posted."""
        return json.dumps({"payload": self.signature.sign(payload) if self.signature else payload}).encode()

    def post(self, session: requests.Session, report: Report) -> None:
        """Post a report.

        :raises Down: the receiver cannot be reached.
        :raises Refused: it answered that it did not take the report, or did not answer in time.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": report.key}
        try:
            # A redirect would turn the POST into a GET, which answers 200.
            answer = session.post(
                self.url + report.route,
                data=self.body(report.payload),
                headers=headers,
                auth=self.login,
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except requests.ConnectionError as error:
            raise Down(f"{self.url} cannot be reached: {_reason(error)}") from None
        except requests.RequestException as error:
            raise Refused(f"{self.url}{report.route}: {error}") from None
        if not 200 <= answer.status_code < 300:
            raise Refused(f"{self.url}{report.route} answered {answer.status_code}: {answer.text[:200]!r}")


def _reason(error: BaseException) -> str:
    """Return what the innermost of some errors says: those of the libraries around it repeat the URL."""
    while (inner := getattr(error, "reason", None) or next(iter(error.args), None)) and isinstance(inner, Exception):
        error = inner
    return str(error).rpartition(": ")[2]


def url_of(host: str | None, schema: str | None, port: int | None, extra: Mapping[str, Any]) -> str:
    """Return the URL that a connection names, as Airflow's HTTP hook reads it, with a slash at its end.

    :param extra: ``endpoint`` is the path below which the routes are.
    :raises Unusable: it names none.
    """
    if not host:
        raise Unusable(f"The connection {CONNECTION} has no host: set one")
    base = host if "://" in host else f"{schema or 'http'}://{host}"
    endpoint = str(extra.get("endpoint") or "").strip("/")
    return "/".join(part for part in (base.rstrip("/") + (f":{port}" if port else ""), endpoint) if part) + "/"


def receiver(session: Any) -> Receiver | None:
    """Return the receiver of the site; none if there is none.

    :param session: of Airflow's database.
    :raises Unusable: a connection or key is set that cannot be used.
    """
    from airflow.configuration import ensure_secrets_loaded

    backends = ensure_secrets_loaded()
    if _connection(backends) is None:
        return None
    signature = _signature(session, backends)
    # Again: whoever removes both removes the connection first, and nothing is sent unsigned in between.
    found = _connection(backends)
    return found and replace(found, signature=signature)


def _connection(backends: Any) -> Receiver | None:
    try:
        found = next(filter(None, (backend.get_connection(conn_id=CONNECTION) for backend in backends)), None)
        if found is None:
            return None
        url = url_of(found.host, found.schema, found.port, found.extra_dejson)
        return Receiver(url, (found.login, found.password or "") if found.login else None)
    except Exception as error:
        raise _reading(f"The connection {CONNECTION}", error) from error


def credential() -> str | None:
    """Return the key that systemd gives this service; none if it gives none.

    Source: https://systemd.io/CREDENTIALS/
    """
    file = Path(os.environ.get("CREDENTIALS_DIRECTORY", ""), CREDENTIAL)
    return file.read_text(encoding="utf-8") if file.is_absolute() and file.exists() else None


def _signature(session: Any, backends: Any) -> Signature | None:
    key = credential()
    if key is None:
        key = _variable(session, backends, KEY)
    algorithm = _variable(session, backends, ALGORITHM)
    if key is None and algorithm is None:
        return None
    if key is None or algorithm is None:
        missing = KEY if key is None else ALGORITHM
        raise Unusable(f"{missing} is not set, one of {KEY} and {ALGORITHM}: set both, or none to sign nothing")
    return Signature(key, algorithm)


def _variable(session: Any, backends: Any, name: str) -> str | None:
    from airflow.models import Variable
    from sqlalchemy import select

    try:
        value = next((each for backend in backends if (each := backend.get_variable(key=name)) is not None), None)
    except Exception as error:
        raise _reading(f"The Variable {name}", error) from error
    if value is None and session.scalar(select(Variable.key).where(Variable.key == name)):
        raise Unusable(f"The Variable {name} cannot be decrypted: set it again")
    return value


def _reading(what: str, error: Exception) -> Exception:
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, (SQLAlchemyError, Unusable)):
        return error
    return Unusable(f"{what} cannot be read ({type(error).__name__}: {error}): set it again")
