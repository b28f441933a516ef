"""What programs that the worker starts are told of the host's secrets."""

from __future__ import annotations

import pytest

from cwl_airflow import environment as secrets


def test_programs_get_the_environment_without_options_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "hush")
    monkeypatch.setenv("AIRFLOW_HOME", "/var/lib/airflow")
    assert "hush" not in secrets.environment_without_options().values()
    assert secrets.environment_without_options()["AIRFLOW_HOME"] == "/var/lib/airflow"
