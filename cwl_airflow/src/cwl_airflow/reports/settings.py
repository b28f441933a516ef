"""Where reports go and how: connection ``process_report``, the key, and the Variable with its algorithm.

The key is the credential that systemd gives this service alone, or else a Variable, which every task can read.

Airflow's own ways to read a Variable say that there is none when the database is away or the Fernet key is another,
and the report would go out unsigned. So they are not used here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from airflow.configuration import ensure_secrets_loaded
from airflow.models import Variable
from airflow.secrets import BaseSecretsBackend
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from .receiver import (
    ALGORITHM_VARIABLE,
    CONNECTION,
    KEY_VARIABLE,
    ReceiverMisconfigured,
    ReportReceiver,
    Signature,
    connection_url,
)

#: Under which name systemd gives the key.
CREDENTIAL = "report_private_key"


def read_receiver(session: Session) -> ReportReceiver | None:
    """Return the receiver of the site; none if there is none.

    :param session: of Airflow's database.
    :raises ReceiverMisconfigured: a connection or key is set that cannot be used.
    """
    backends = ensure_secrets_loaded()
    if read_connection(backends) is None:
        return None
    signature = read_signature(session, backends)
    # Again: whoever removes both removes the connection first, and nothing is sent unsigned in between.
    receiver = read_connection(backends)
    return receiver and replace(receiver, signature=signature)


def read_connection(backends: Sequence[BaseSecretsBackend]) -> ReportReceiver | None:
    """Return the receiver that the connection names, without a signature; none if there is no such connection.

    :raises ReceiverMisconfigured: it cannot be read, or has no host.
    """
    try:
        found = (backend.get_connection(conn_id=CONNECTION) for backend in backends)
        connection = next(filter(None, found), None)
        if connection is None:
            return None
        url = connection_url(connection.host, connection.schema, connection.port, connection.extra_dejson)
        return ReportReceiver(url, (connection.login, connection.password or "") if connection.login else None)
    except (SQLAlchemyError, ReceiverMisconfigured):
        raise
    except Exception as error:  # a backend raises what its parts raise
        raise unreadable_setting(f"The connection {CONNECTION}", error) from error


def read_credential(name: str = CREDENTIAL) -> str | None:
    """Return what systemd gives this service alone under a name, by default the key; none if it gives none.

    Source: https://systemd.io/CREDENTIALS/
    """
    file = Path(os.environ.get("CREDENTIALS_DIRECTORY", ""), name)
    return file.read_text(encoding="utf-8") if file.is_absolute() and file.exists() else None


def read_signature(session: Session, backends: Sequence[BaseSecretsBackend]) -> Signature | None:
    """Return how reports are signed; none if neither key nor algorithm is set.

    :raises ReceiverMisconfigured: only one of them is set, or they cannot be read or used.
    """
    key = read_credential()
    if key is None:
        key = read_variable(session, backends, KEY_VARIABLE)
    algorithm = read_variable(session, backends, ALGORITHM_VARIABLE)
    if key is None and algorithm is None:
        return None
    if key is None or algorithm is None:
        missing = KEY_VARIABLE if key is None else ALGORITHM_VARIABLE
        raise ReceiverMisconfigured(
            f"{missing} is not set, one of {KEY_VARIABLE} and {ALGORITHM_VARIABLE}: set both, or none to sign nothing"
        )
    return Signature(key, algorithm)


def read_variable(session: Session, backends: Sequence[BaseSecretsBackend], name: str) -> str | None:
    """Return one of Airflow's Variables; none if it is not set.

    :raises ReceiverMisconfigured: it is there and cannot be read.
    """
    try:
        found = (backend.get_variable(key=name) for backend in backends)
        value: str | None = next((each for each in found if each is not None), None)
    except SQLAlchemyError:
        raise
    except Exception as error:  # a backend raises what its parts raise
        raise unreadable_setting(f"The Variable {name}", error) from error
    if value is None and session.scalar(select(Variable.key).where(Variable.key == name)):
        raise ReceiverMisconfigured(f"The Variable {name} cannot be decrypted: set it again")
    return value


def unreadable_setting(what: str, error: Exception) -> ReceiverMisconfigured:
    """Return the error for a setting that is there and cannot be read."""
    return ReceiverMisconfigured(f"{what} cannot be read ({type(error).__name__}: {error}): set it again")
