"""The check of the broker, with one in memory and one that is away."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.commands import check
from kombu import Connection
from kombu.exceptions import OperationalError
from sqlalchemy.engine import make_url

from cwl_airflow import connectivity

pytestmark = pytest.mark.usefixtures("only_file")


def configure(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "check.cfg").write_text(f"[celery]\nbroker_url = {url}\n", encoding="utf-8")
    monkeypatch.setenv("AIRFLOW_CONFIG", str(folder / "check.cfg"))


def test_a_broker_passes_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tmp_path, "memory://broker", monkeypatch)
    assert connectivity.check_broker(5).endswith(" passes messages")


@pytest.mark.full
def test_a_broker_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        configure(tmp_path, f"amqp://127.0.0.1:{closed.getsockname()[1]}//", monkeypatch)
        assert check.main(["amqp", "--timeout", "1"]) == 1
    assert "refused" in capsys.readouterr().err


def test_the_consumers_of_queues_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tmp_path, "memory://broker", monkeypatch)
    with Connection("memory://broker") as connection, connection.channel() as channel:
        channel.queue_declare("known")
        assert connectivity.count_consumers(["known", "unknown"], 5) == {"known": 0, "unknown": 0}


def test_a_broker_on_another_host_is_asked_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authorities = tmp_path / "authorities.pem"
    with socket.create_server(("127.0.0.1", 0)) as server:
        configure(tmp_path, f"amqp://127.0.0.1:{server.getsockname()[1]}//", monkeypatch)
        options = json.dumps({"broker_use_ssl": {"ca_certs": str(authorities), "cert_reqs": 2}})
        with (tmp_path / "check.cfg").open("a", encoding="utf-8") as file:
            file.write(f"extra_celery_config = {options}\n")
        with pytest.raises(OperationalError, match="No such file"):  # of the authorities: there is no way around them
            connectivity.check_broker(1)


@pytest.mark.parametrize(
    ("query", "encrypted"),
    [
        ("charset=utf8mb4", {}),
        (
            "charset=utf8mb4&ssl_ca=/etc/ca.pem&ssl_mode=VERIFY_IDENTITY",
            {"ssl": {"ca": "/etc/ca.pem"}, "ssl_mode": "VERIFY_IDENTITY"},
        ),
    ],
)
def test_the_database_is_asked_as_airflow_asks_it(query: str, encrypted: dict[str, Any]) -> None:
    arguments = connectivity.mysql_arguments(make_url(f"mysql+mysqldb://airflow:x@192.0.2.1/airflow?{query}"))
    assert {name: value for name, value in arguments.items() if name.startswith("ssl")} == encrypted
