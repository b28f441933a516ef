"""The check of the broker, with one in memory and one that is away."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from cwl_airflow.commands import check
from kombu import Connection

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
