"""The command of the CWL API, as its service runs it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from api import BASE


@pytest.mark.full
def test_the_command_serves_until_it_is_stopped(api_database: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cwl_airflow.api.serve", "--bind", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        deadline = time.monotonic() + 120
        while True:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}{BASE}/dags?secret=1", auth=("viewer", "viewer"))
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                assert server.poll() is None
                time.sleep(0.2)
        assert answer.status_code == 200
        assert [dag["dag_id"] for dag in answer.json()["dags"]] == ["mine", "other"]
        server.send_signal(signal.SIGTERM)
        printed, _ = server.communicate(timeout=40)
    assert server.returncode == -signal.SIGTERM  # as systemd takes for an orderly end
    assert f'127.0.0.1 "GET {BASE}/dags" 200 ' in printed
    assert "secret" not in printed
