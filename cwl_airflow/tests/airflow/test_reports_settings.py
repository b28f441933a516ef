"""Where reports go: what is set in Airflow, whatever state it is in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.models import Connection, Variable
from airflow.models.crypto import get_fernet
from airflow.utils.session import create_session
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cwl_airflow.reports import settings
from cwl_airflow.reports.receiver import ALGORITHM_VARIABLE, CONNECTION, KEY_VARIABLE, ReceiverMisconfigured
from cwl_airflow.reports.settings import read_credential, read_receiver

pytestmark = pytest.mark.usefixtures("clean_database")


@pytest.fixture(autouse=True)
def fernet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Encrypt with a key, and have no credential of systemd's."""
    set_fernet_key(monkeypatch)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    yield
    get_fernet.cache_clear()


def set_fernet_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    get_fernet.cache_clear()


@pytest.fixture(scope="module")
def key() -> str:
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def connect(**more: Any) -> None:
    with create_session() as session:
        session.add(Connection(CONNECTION, **{"conn_type": "http", "host": "receiver", **more}))


def read() -> Any:
    with create_session() as session:
        return read_receiver(session)


def test_there_is_none() -> None:
    assert read() is None


def test_a_connection_names_the_receiver() -> None:
    connect(schema="https", port=8443, extra=json.dumps({"endpoint": "v1/"}), login="me", password="secret")
    receiver = read()
    assert (receiver.url, receiver.login, receiver.signature) == ("https://receiver:8443/v1/", ("me", "secret"), None)
    assert "secret" not in repr(receiver)


def test_without_a_login_none_is_sent() -> None:
    connect()
    assert read().login is None


def test_a_login_needs_no_password() -> None:
    connect(login="me")
    assert read().login == ("me", "")


def test_reports_are_signed_with_the_key_of_the_variable(key: str) -> None:
    connect()
    Variable.set(KEY_VARIABLE, key)
    Variable.set(ALGORITHM_VARIABLE, "ES256")
    signature = read().signature
    assert (signature.key, signature.algorithm) == (key, "ES256")


def test_the_credential_of_the_service_comes_before_the_variable(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect()
    Variable.set(KEY_VARIABLE, "another")
    Variable.set(ALGORITHM_VARIABLE, "ES256")
    (tmp_path / settings.CREDENTIAL).write_text(key, encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read().signature.key == key


def test_the_key_is_the_credential_of_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report_private_key").write_text("of this folder", encoding="utf-8")
    assert read_credential() is None
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert read_credential() is None
    (folder / "report_private_key").write_text("key", encoding="utf-8")
    assert read_credential() == "key"


@pytest.mark.parametrize(
    ("is_set", "missing"), [(KEY_VARIABLE, ALGORITHM_VARIABLE), (ALGORITHM_VARIABLE, KEY_VARIABLE)]
)
def test_nothing_is_sent_unsigned_where_one_of_both_is_missing(key: str, is_set: str, missing: str) -> None:
    connect()
    Variable.set(is_set, key if is_set == KEY_VARIABLE else "ES256")
    with pytest.raises(ReceiverMisconfigured, match=f"{missing} is not set, one of"):
        read()


def test_a_key_that_does_not_fit_is_refused() -> None:
    connect()
    Variable.set(KEY_VARIABLE, "garbage")
    Variable.set(ALGORITHM_VARIABLE, "ES256")
    with pytest.raises(ReceiverMisconfigured, match="cannot sign with"):
        read()


def test_a_variable_that_cannot_be_decrypted_is_not_none(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect()
    Variable.set(KEY_VARIABLE, key)
    Variable.set(ALGORITHM_VARIABLE, "ES256")
    set_fernet_key(monkeypatch)
    with pytest.raises(ReceiverMisconfigured, match=rf"The Variable {KEY_VARIABLE} cannot be (decrypted|read)"):
        read()


def test_a_connection_that_cannot_be_decrypted_is_not_none(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(login="me", password="secret")
    set_fernet_key(monkeypatch)
    with pytest.raises(ReceiverMisconfigured, match=rf"The connection {CONNECTION} cannot be read \("):
        read()


def test_a_connection_without_a_host_is_refused() -> None:
    connect(host="")
    with pytest.raises(ReceiverMisconfigured, match="has no host"):
        read()


class Backend:
    """A secrets backend that does not work."""

    def __init__(self, error: Exception) -> None:
        """Take what it raises."""
        self.error = error

    def get_connection(self, conn_id: str) -> Any:
        """Fail."""
        raise self.error

    def get_variable(self, key: str) -> Any:
        """Fail."""
        raise self.error


def test_a_backend_that_is_broken_is_named() -> None:
    backends: Any = [Backend(KeyError("token"))]
    with pytest.raises(ReceiverMisconfigured, match=r"The connection .* cannot be read \(KeyError: 'token'\)"):
        settings.read_connection(backends)
    with (
        create_session() as session,
        pytest.raises(ReceiverMisconfigured, match=r"The Variable a cannot be read \(KeyError"),
    ):
        settings.read_variable(session, backends, "a")


def test_a_database_that_is_away_is_no_missing_setting() -> None:
    backends: Any = [Backend(sa.exc.OperationalError("SELECT 1", {}, OSError("away")))]
    with pytest.raises(sa.exc.OperationalError):
        settings.read_connection(backends)
    with create_session() as session, pytest.raises(sa.exc.OperationalError):
        settings.read_variable(session, backends, "a")


def test_a_connection_that_is_removed_meanwhile(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever removes all of it removes the connection first: nothing is sent unsigned in between."""
    connect()
    Variable.set(KEY_VARIABLE, key)
    Variable.set(ALGORITHM_VARIABLE, "ES256")

    def remove_all(*_: Any) -> None:
        with create_session() as session:
            session.execute(sa.delete(Connection))

    monkeypatch.setattr(settings, "read_signature", remove_all)
    assert read() is None
