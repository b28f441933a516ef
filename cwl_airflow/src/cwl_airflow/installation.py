"""Whether an Airflow, set up by whomever, is as this package needs it. Nothing is changed.

A check that finds something wrong says in one line what, and what to do.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Literal

from .configuration import FOLDERS, configuration_file
from .connectivity import check_broker, check_database
from .containers import ContainerEngine, ContainerEngineError

#: The release of Airflow that this package is written for.
AIRFLOW = (3, 3)
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
#: What Airflow loads of this package, by group.
ENTRY_POINTS = ("airflow.policy", "airflow.plugins")
#: How long an engine for containers may take to answer, in seconds.
ENGINE_TIMEOUT = 20

#: ``wrong`` is what runs cannot do without, ``note`` what some can.
State = Literal["ok", "note", "wrong"]


@dataclass(frozen=True)
class Finding:
    """What a check found, in one line."""

    subject: str
    state: State
    text: str

    def __str__(self) -> str:
        """Return it as it is shown."""
        return f"{self.state:5}  {self.subject}: {' '.join(self.text.split())}"


def check_installation(timeout: int) -> Iterator[Finding]:
    """Check one thing after the other.

    :param timeout: for how long database and broker may take, in seconds.
    """
    file = configuration_file()
    if not file.is_file():
        # Airflow makes it as soon as anything of it is loaded.
        yield Finding("configuration", "wrong", f"{file} is not there: run airflow db migrate, which makes it")
        return
    if not os.access(file, os.R_OK):
        yield Finding("configuration", "wrong", f"{file} may not be read: run sudo cwl-airflow init")
        return
    yield Finding("configuration", "ok", str(file))
    for check in (check_versions, check_entry_points, check_settings, check_dags_folder, check_folders, check_users):
        yield from check()
    yield from check_databases(timeout)
    yield from check_executor(timeout)
    yield from check_programs()


def check_versions() -> Iterator[Finding]:
    """Look at the releases of what is installed together."""
    from airflow import __version__ as airflow

    wanted = ".".join(map(str, AIRFLOW))
    fits = airflow.split(".")[:2] == wanted.split(".")
    own = version("cwl-airflow")
    yield Finding(
        "Airflow",
        "ok" if fits else "wrong",
        f"{airflow}, with cwl-airflow {own}"
        + ("" if fits else f", which is written for {wanted}: pip install 'apache-airflow~={wanted}.0'"),
    )
    found = []
    for name in ("cwltool", "cwl-utils", "cwltest"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Finding(name, "wrong", f"it is not installed: pip install {name}")
    yield Finding("CWL", "ok", ", ".join(found))


def check_entry_points() -> Iterator[Finding]:
    """Look whether Airflow loads this package in its processes."""
    from airflow.plugins_manager import get_fastapi_plugins, get_import_errors
    from airflow.settings import get_policy_plugin_manager

    from .callers import CallerMiddleware

    again = "install the package again: pip install --force-reinstall --no-deps cwl-airflow"
    missing = [group for group in ENTRY_POINTS if not list(entry_points(group=group, name="cwl_airflow"))]
    if missing:
        yield Finding("entry points", "wrong", f"{' and '.join(missing)} do not name cwl_airflow: {again}")
        return
    policies = get_policy_plugin_manager()
    middlewares = [each["middleware"] for each in get_fastapi_plugins()[1]]
    errors = "; ".join(f"{source}: {error}" for source, error in get_import_errors().items() if "cwl_airflow" in source)
    if CallerMiddleware not in middlewares or not policies.has_plugin("cwl_airflow"):
        yield Finding("plug-in", "wrong", f"Airflow does not load it ({errors or 'no error is noted'}): {again}")
    else:
        yield Finding("plug-in", "ok", "Airflow loads it, and the module for its processes")


def check_settings() -> Iterator[Finding]:
    """Look at the section ``[cwl]``, and at what Airflow's own settings mean for documents."""
    from airflow.configuration import conf

    from .dags.settings import CWLSettings

    try:
        settings = CWLSettings.read({})
        queues, places = settings.queues, settings.places
    except (ValueError, OSError) as error:
        yield Finding("settings", "wrong", f"{error}: change it in {configuration_file()}")
        return
    yield Finding(
        "settings",
        "ok",
        f"containers with {settings.container_engine}, {len(queues) or 'no'} queues, "
        f"{len(places.data)} folders beside the site's own",
    )
    if conf.getboolean("core", "dags_are_paused_at_creation"):
        yield Finding(
            "new DAGs",
            "note",
            "their runs wait until somebody unpauses them, those of the CWL API as well: "
            "[core] dags_are_paused_at_creation = False starts them at once",
        )


def check_dags_folder() -> Iterator[Finding]:
    """Look at the folder of DAG files, and whether Airflow reads it."""
    from airflow.configuration import conf
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    folder = Path(conf.get_mandatory_value("core", "dags_folder"))
    if folder.is_dir():
        yield _folder_finding("DAG files", folder)
    else:
        yield Finding("DAG files", "wrong", f"{folder} is not there: mkdir -p {folder}")
    bundles = DagBundlesManager().get_all_dag_bundles()  # type: ignore[no-untyped-call]
    if folder not in [bundle.path for bundle in bundles]:
        yield Finding(
            "DAG files",
            "wrong",
            f"Airflow does not read {folder}: name it in [dag_processor] dag_bundle_config_list",
        )


def check_folders() -> Iterator[Finding]:
    """Look at the folders of the section ``[cwl]``."""
    from .dags.settings import CWLSettings

    try:
        folders = CWLSettings.read({}).folders
    except ValueError:
        return  # was said before
    for name in FOLDERS:
        yield _folder_finding(name.removesuffix("_folder"), Path(folders[name]))


def _folder_finding(subject: str, folder: Path) -> Finding:
    """Return whether a folder can be used, or made."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not (there.is_dir() and os.access(there, os.R_OK | os.W_OK | os.X_OK)):
        who = f"sudo chown {os.geteuid()} {there}" if there.is_dir() else f"remove the file {there}"
        return Finding(subject, "wrong", f"{folder} may not be written by this user: {who}")
    return Finding(subject, "ok", str(folder) if there == folder else f"{folder} is not there yet, a run makes it")


def check_users() -> Iterator[Finding]:
    """Look at Airflow's auth manager, whose users those of the CWL API are."""
    from airflow.configuration import conf

    manager = conf.get_mandatory_value("core", "auth_manager")
    try:
        importlib.import_module(manager.rpartition(".")[0])
    except ImportError as error:
        yield Finding(
            "users", "wrong", f"[core] auth_manager is {manager}: {error}. pip install 'cwl-airflow[api]' has it"
        )
        return
    name = manager.rpartition(".")[2]
    if manager == FAB:
        yield Finding("users", "ok", f"those of {name}")
    else:
        yield Finding(
            "users",
            "note",
            f"the CWL API needs [core] auth_manager = {FAB} (pip install 'cwl-airflow[api]') and does not start with "
            f"{name}; DAG files with CWLDAG run",
        )


def check_databases(timeout: int) -> Iterator[Finding]:
    """Look whether the database answers, and whether its tables are of this release."""
    try:
        yield Finding("database", "ok", check_database(timeout))
    except Exception as error:  # each driver has its own
        fix = "see [database] sql_alchemy_conn, and run airflow db migrate where it is new"
        yield Finding("database", "wrong", f"{error}: {fix}")
        return
    from airflow.settings import get_engine

    engine = get_engine()  # type: ignore[no-untyped-call]
    with engine.connect():
        if getattr(engine.dialect, "is_mariadb", False):
            yield Finding("database", "wrong", "Airflow's scheduler ends on MariaDB: use MySQL 8.0 or newer")
            return
    if engine.dialect.name == "sqlite":
        yield Finding("database", "note", "SQLite is for trying: use MySQL or PostgreSQL for more")
    yield from check_tables(engine)


def check_tables(engine: object) -> Iterator[Finding]:
    """Look whether Airflow's tables and our own are of this release.

    :param engine: of the database.
    """
    from airflow.utils import db

    from .schema import compare_revision

    try:
        db.check_migrations(timeout=1)  # type: ignore[no-untyped-call]
        yield Finding("tables of Airflow", "ok", "they are of this release")
    except Exception as error:  # also the auth manager's, which may have no tables yet
        why = "they are not of this release" if isinstance(error, TimeoutError) else str(error)
        yield Finding("tables of Airflow", "wrong", f"{why}: run airflow db migrate")
    findings: Mapping[str, tuple[State, str]] = {
        "current": ("ok", "they are of this release"),
        "missing": ("ok", "they are made when the CWL API or the service for reports starts"),
        "older": ("ok", "they are brought to this release when the CWL API or the service for reports starts"),
        "unknown": ("wrong", "a later cwl-airflow made them: pip install --upgrade cwl-airflow"),
    }
    yield Finding("tables of cwl-airflow", *findings[compare_revision(engine)])  # type: ignore[arg-type]


def check_executor(timeout: int) -> Iterator[Finding]:
    """Look at Airflow's executor, and whether the broker answers that it needs."""
    from airflow.configuration import conf

    executor = conf.get_mandatory_value("core", "executor")
    if "Celery" not in executor:
        yield Finding("executor", "ok", f"{executor}, which needs no broker")
        return
    yield Finding("executor", "ok", executor)
    try:
        yield Finding("broker", "ok", check_broker(timeout))
    except ImportError as error:
        yield Finding("broker", "wrong", f"{error}: pip install 'cwl-airflow[celery]'")
    except Exception as error:  # each driver has its own
        yield Finding("broker", "wrong", f"{error}: see [celery] broker_url, and whether the broker runs")


def check_programs() -> Iterator[Finding]:
    """Look at what runs containers, and what evaluates JavaScript. Only hosts with workers need the first."""
    from .dags.settings import CWLSettings

    try:
        settings = CWLSettings.read({})
    except ValueError:
        return  # was said before
    yield _engine_finding(settings.container_engine, settings.container_command)
    yield _javascript_finding(settings.cwltool.get("javascript_socket"))


def _engine_finding(name: str, command: str) -> Finding:
    """Return whether containers can be run; of singularity and apptainer only whether they are there."""
    program = shutil.which(name)
    if not program:
        return Finding("containers", "note", f"there is no {name}: a worker here cannot run steps in containers")
    if name != command:
        return Finding("containers", "ok", program)
    try:
        number = len(ContainerEngine(command, ENGINE_TIMEOUT).list_containers())
    except ContainerEngineError as error:
        return Finding("containers", "note", f"{program} does not answer this user (a worker's unit may ask): {error}")
    return Finding("containers", "ok", f"{program} answers, {number} containers")


def _javascript_finding(socket: str | None) -> Finding:
    """Return whether JavaScript can be evaluated, by doing so."""
    from cwl_utils.sandboxjs import get_js_engine, set_js_engine

    from .javascript.client import use_javascript_service

    # Without either, cwl-utils would pull an image.
    if not socket and not any(map(shutil.which, ("nodejs", "node"))):
        return Finding("JavaScript", "note", "there is no Node.js: install nodejs, for documents with JavaScript")
    before = get_js_engine()
    use_javascript_service(socket)
    try:
        evaluate: Callable[..., object] = get_js_engine().eval
        found = evaluate("1 + 1", timeout=ENGINE_TIMEOUT)
    except Exception as error:  # cwl-utils has its own for each way to fail
        fix = f"see systemctl status {Path(socket).name}" if socket else "install nodejs again"
        return Finding("JavaScript", "wrong", f"{error}: {fix}")
    finally:
        set_js_engine(before)
    good = str(found) == "2"
    return Finding("JavaScript", "ok" if good else "wrong", f"{socket or 'Node.js'} says that 1 + 1 is {found}")
