"""The command of upstream's name: its subcommands, and which of them loads what."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest
from cwl_airflow.api import serve
from cwl_airflow.commands.main import main


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ([], ("127.0.0.1", 8081)),
        (["--host", "::1", "--port", "0"], ("::1", 0)),
        (["--port", "65535"], ("127.0.0.1", 65535)),
    ],
)
def test_api_serves_as_the_service_does(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], address: tuple[str, int]
) -> None:
    served = []
    monkeypatch.setattr(serve, "serve", lambda *given: served.append(given))
    assert main(["api", *arguments]) == 0
    assert served == [address]
    served.clear()
    host, port = address
    assert serve.main(["--bind", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]) == 0
    assert served == [address]


@pytest.mark.parametrize("port", ["x", "-1", "65536", "²", ""])
def test_a_port_that_is_none(capsys: pytest.CaptureFixture[str], port: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["api", f"--port={port}"])
    assert ended.value.code == 2
    assert f"argument --port: {port!r} is no port: give a number from 0 to 65535" in capsys.readouterr().err


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"cwl-airflow {version('cwl-airflow')}\n"


@pytest.mark.parametrize("arguments", [[], ["airflow"], ["test"], ["init", "now"]])
def test_what_is_no_subcommand(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize("name", ["api", "init", "test"])
def test_no_subcommand_loads_airflow_before_it_has_read_its_arguments(name: str) -> None:
    code = f"""
import sys
from cwl_airflow.commands.main import main
try:
    main([{name!r}, "--help"])
except SystemExit:
    print([module for module in sys.modules if module.split(".")[0] in ("airflow", "cwltest", "fastapi")])
"""
    shown = subprocess.check_output([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, text=True)
    assert shown.startswith(f"usage: cwl-airflow {name}")
    assert shown.splitlines()[-1] == "[]"
