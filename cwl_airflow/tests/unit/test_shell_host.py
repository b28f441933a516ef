"""What a command knows of its host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cwl_airflow.shell.host import find_host

#: [core] execution_api_server_url, and which api-server that is of.
SERVERS = {None: "http://127.0.0.1:8080", "https://head:8080/execution/": "https://head:8080"}


@pytest.mark.parametrize("given", SERVERS)
def test_the_administrator_s_commands_ask_the_api_server_that_tasks_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.delenv("AIRFLOW_CONFIG", raising=False)
    option = f"execution_api_server_url = {given}\n" if given else ""
    (tmp_path / "airflow.cfg").write_text(f"[core]\n{option}", encoding="utf-8")
    (tmp_path / "administrator.json").write_text(json.dumps({"user": "admin", "password": "x"}), encoding="utf-8")
    host = find_host(None)
    assert (host.client._server, host.pages) == (SERVERS[given], SERVERS[given])
    host.check_dags_are_shared()
    monkeypatch.setenv("AIRFLOW__CWL__SHARES_DAGS", "False")
    with pytest.raises(ValueError, match="it runs those that its administrator names in cwl_airflow_site_workflows"):
        find_host(None).check_dags_are_shared()
    assert find_host("https://other").client._server == "https://other"
