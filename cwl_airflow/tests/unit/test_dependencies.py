"""What the package says it needs: all that it imports, in releases that the hosts' lock has."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[3]
SOURCE = PROJECT / "cwl_airflow/src/cwl_airflow"
WITHOUT_EXTRAS = "dependencies"
#: What an extra is for: it alone imports what the extra brings, and is loaded by nothing that others need.
OF_EXTRAS = {
    "api": ("api",),
    "celery": (
        "stopping/workers.py",
        "stopping/site.py",
        "stopping/celery_command.py",
        "connectivity.py",
        "consumers.py",
        "executor.py",
    ),
    "mysql": ("connectivity.py", "fencing.py"),
}
#: By another name than that of what brings it, or by what brings Airflow.
BROUGHT_BY = {"airflow": "apache-airflow", "airflow.providers.fab": "apache-airflow-providers-fab"}
BROUGHT_BY |= {"airflow.providers.celery": "apache-airflow-providers-celery", "MySQLdb": "mysqlclient"}


def declared() -> dict[str, list[Requirement]]:
    """Return what the package needs, and what each of its extras does."""
    project: dict[str, Any] = tomllib.loads((PROJECT / "cwl_airflow/pyproject.toml").read_text(encoding="utf-8"))
    lists = {WITHOUT_EXTRAS: project["project"]["dependencies"], **project["project"]["optional-dependencies"]}
    return {name: [Requirement(text) for text in texts] for name, texts in lists.items()}


def imported(file: Path) -> Iterator[str]:
    """Find the modules that a file imports, of other packages."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)


def distribution(module: str) -> str | None:
    """Return what brings a module; none if that is Python."""
    for name, brought in BROUGHT_BY.items():
        if module.startswith("airflow.providers.standard"):
            break
        if (module + ".").startswith(f"{name}.") and (name != "airflow" or ".providers." not in module):
            return brought
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == "cwl_airflow":
        return None
    return canonicalize_name(_distributions()[top][0])


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def test_all_that_is_imported_is_declared() -> None:
    names = {extra: {canonicalize_name(each.name) for each in found} for extra, found in declared().items()}
    missing = set()
    for file in SOURCE.rglob("*.py"):
        path = str(file.relative_to(SOURCE))
        known = set(names[WITHOUT_EXTRAS]).union(
            *(names[extra] for extra, places in OF_EXTRAS.items() if path.startswith(places))
        )
        missing |= {
            (path, found) for module in imported(file) if (found := distribution(module)) and found not in known
        }
    # Airflow itself serves with these, in its api-server and in whatever serves a worker's logs.
    served = {"callers.py": {"fastapi", "starlette"}, "worker_logs.py": {"uvicorn"}}
    assert sorted(each for each in missing if each[1] not in served.get(each[0], set())) == []


@pytest.mark.parametrize("extra", [WITHOUT_EXTRAS, *OF_EXTRAS])
def test_the_lock_has_what_is_declared(extra: str) -> None:
    locked: dict[str, list[str]] = {}
    for file in ("requirements.txt", "compiled.txt"):
        text = (PROJECT / "files/airflow" / file).read_text(encoding="utf-8")
        for name, release in re.findall(r"^([a-z0-9-]+)(?:\[.*?\])?==([^ ;\\]+)", text, re.MULTILINE):
            locked.setdefault(name, []).append(release)
    for requirement in declared()[extra]:
        releases = locked[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(release) for release in releases), requirement


@pytest.mark.full
def test_what_is_no_extra_loads_none_of_them() -> None:
    """Such as an Airflow with an executor of its own and other users, which has neither Celery nor FAB."""
    code = """
import importlib, pkgutil, sys
for name in ("celery", "kombu", "amqp", "MySQLdb", "flask_appbuilder", "python_multipart"):
    sys.modules[name] = None
import cwl_airflow
modules = "compat plugin extensions.cwldag reports.site stopping.site installation commands.main"
for module in modules.split():
    importlib.import_module(f"cwl_airflow.{module}")
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)
