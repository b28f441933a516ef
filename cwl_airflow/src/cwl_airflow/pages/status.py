"""How a site is: services, broker, database, disks, queues; what runs, and what failed and why."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from airflow.api.common.airflow_health import get_airflow_health
from airflow.models import DagRun, TaskInstance
from airflow.sdk import conf
from airflow.utils.session import create_session
from sqlalchemy import func, select

from ..configuration import read_administrator
from ..connectivity import check_broker, check_database, count_consumers
from ..dags.notes import MOST_LINES, failure_lines
from ..dags.settings import CWLSettings
from ..runs.room import existing
from ..tidying.outcome import check_tidying

#: For how long database and broker may take to answer, in seconds.
TIMEOUT = 5
#: How many runs are listed, and for how long a failed one is, in days.
MOST_RUNS, FAILED_DAYS = 20, 7
#: What a site has at least, in Airflow's own words; a site may have no triggerer.
SERVICES = {"scheduler": "Scheduler", "dag_processor": "DAG processor", "triggerer": "Triggerer"}
#: Noted by playbooks/backup.yml, in Airflow's home.
BACKUP = "last-backup.json"
#: How the runs are called that prove a site.
PROOF = "verify-%"

#: ``wrong`` is what somebody has to see to.
OK, WRONG = "ok", "wrong"


@dataclass(frozen=True)
class Part:
    """A part of the site, and how it is."""

    name: str
    state: str
    text: str


def describe_site(readable: Collection[str] | None) -> dict[str, Any]:
    """Return how the site is.

    :param readable: ids of the DAGs whose runs may be shown; none means all.
    :returns: ``well``; ``parts`` with a state and a line each; ``queues`` with slots, running and waiting tasks;
        ``running`` and ``failed`` runs; ``versions``.
    """
    parts, queues = check_parts(readable)
    return {
        "well": all(part.state == OK for part in parts),
        "parts": [asdict(part) for part in parts],
        "queues": queues,
        "running": _runs("running", readable),
        "failed": _runs("failed", readable),
        "versions": _versions(),
    }


def check_parts(readable: Collection[str] | None) -> tuple[list[Part], list[dict[str, Any]]]:
    """Return the parts of the site and its queues, as `describe_site` has them, also while the database is away."""
    database = _checked("Database", check_database)
    parts = [*_services(), database]
    broker = _checked("Broker", check_broker) if has_broker() else None
    parts += [broker] if broker else []
    try:
        queues = _queues(ask=broker is not None and broker.state == OK)
    except (OSError, ValueError) as error:  # of the file with the site's queues
        queues = []
        parts.append(Part("Queues", WRONG, str(error)))
    parts += [*_workers(queues), *_disks(), *_maintenance()]
    parts += _last_proof(readable) if database.state == OK else ()
    return parts, queues


def has_broker() -> bool:
    """Tell whether tasks go to workers through a broker."""
    return "Celery" in str(conf.get("core", "executor"))


def _services() -> Iterator[Part]:
    found = get_airflow_health()
    for service, name in SERVICES.items():
        state = found[service]["status"]
        if state is None:  # none ever ran
            continue
        seen = found[service].get(f"latest_{service}_heartbeat")
        last = f"last seen at {_moment(datetime.fromisoformat(seen))}" if seen else "never seen"
        yield Part(name, OK if state == "healthy" else WRONG, last)


def _checked(name: str, check: Any) -> Part:
    try:
        return Part(name, OK, str(check(TIMEOUT)))
    except Exception as error:  # each driver has its own
        return Part(name, WRONG, " ".join(str(error).split())[:300] or type(error).__name__)


def _queues(ask: bool) -> list[dict[str, Any]]:
    """Return the queues with their workers at the broker, and the tasks in them as the database has it.

    :param ask: whether there is a broker that answers.
    """
    counted: dict[tuple[str, str], int] = {}
    with create_session() as session, suppress(Exception):
        rows = (
            select(TaskInstance.queue, TaskInstance.state, func.count())
            .where(TaskInstance.state.in_(("running", "queued")))
            .group_by(TaskInstance.queue, TaskInstance.state)
        )
        counted = {(str(queue), str(state)): int(number) for queue, state, number in session.execute(rows)}
    queues = CWLSettings.read({}).queues
    names = sorted({*queues, *(queue for queue, _ in counted), conf.get("operators", "default_queue")})
    workers = {}
    if ask:
        with suppress(Exception):  # each driver has its own; that it is away is told of the broker
            workers = count_consumers(names, TIMEOUT)
    return [
        {
            "name": name,
            "grants": str(queues[name]) if name in queues else "",
            "workers": workers.get(name),
            "running": counted.get((name, "running"), 0),
            "waiting": counted.get((name, "queued"), 0),
        }
        for name in names
    ]


def _workers(queues: Iterable[dict[str, Any]]) -> Iterator[Part]:
    for queue in queues:
        if queue["workers"] is not None:
            number = queue["workers"]
            text = f"{number} worker{'' if number == 1 else 's'}" if number else "no worker takes its tasks"
            yield Part(f"Queue {queue['name']}", OK if number else WRONG, text)


def _disks() -> Iterator[Part]:
    settings = CWLSettings.read({})
    folders = [settings.tmp_folder, settings.outputs_folder, *settings.engine_folders]
    seen: set[int] = set()
    for folder in map(existing, folders):
        with suppress(OSError):
            device, usage = folder.stat().st_dev, shutil.disk_usage(folder)
            if device in seen or not usage.total:
                continue
            seen.add(device)
            enough = usage.free >= settings.min_free * 2**20
            text = f"{usage.free / 1e9:.1f} of {usage.total / 1e9:.1f} GB are free"
            less = "" if enough else f", and steps wait until there are {settings.min_free * 2**20 / 1e9:.1f}"
            yield Part(f"Disk of {folder}", OK if enough else WRONG, text + less)


def _maintenance() -> Iterator[Part]:
    yield _checked("Tidying", check_tidying)
    home = Path(conf.get_mandatory_value("core", "dags_folder")).parent
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads((home / BACKUP).read_text(encoding="utf-8"))
        yield Part("Last backup", OK, f"{noted['time']} ({noted['file']})")


def _last_proof(readable: Collection[str] | None) -> Iterator[Part]:
    with create_session() as session:
        proofs = select(DagRun).where(DagRun.run_id.like(PROOF))
        with suppress(OSError, ValueError, KeyError):  # anybody may call a run so
            proofs = proofs.where(DagRun.triggering_user_name == read_administrator()[0])
        if last := session.scalar(proofs.order_by(DagRun.run_after.desc()).limit(1)):
            runs = {run.dag_id: str(run.state) for run in session.scalars(proofs.where(DagRun.run_id == last.run_id))}
            failed = [dag_id for dag_id, state in runs.items() if state == "failed"]
            shown = sorted(dag_id for dag_id in failed if readable is None or dag_id in readable)
            said = "is at work" if {"queued", "running"} & {*runs.values()} else "passed"
            said = f"{', '.join(shown) or 'a workflow'} failed" if failed else said
            yield Part("Last proof", WRONG if failed else OK, f"{_moment(last.run_after)}: {said}")


def _runs(state: str, readable: Collection[str] | None) -> list[dict[str, Any]]:
    since = datetime.now(timezone.utc) - timedelta(days=FAILED_DAYS)
    moment = DagRun.end_date if state == "failed" else DagRun.start_date
    with create_session() as session:
        query = select(DagRun).where(DagRun._state == state).order_by(moment.desc()).limit(MOST_RUNS)
        if state == "failed":
            query = query.where(DagRun.end_date > since)
        if readable is not None:
            query = query.where(DagRun.dag_id.in_(readable))
        return [
            {
                "dag_id": run.dag_id,
                "run_id": run.run_id,
                "start": _moment(run.start_date),
                "end": _moment(run.end_date),
                **({"why": failure_lines(run)[:MOST_LINES]} if state == "failed" else {}),
            }
            for run in session.scalars(query)
        ]


def _versions() -> dict[str, str]:
    names = {"Airflow": "apache-airflow", "cwl-airflow": "cwl-airflow", "cwltool": "cwltool"}
    return {**{name: version(package) for name, package in names.items()}, "Python": sys.version.split()[0]}


def _moment(moment: datetime | None) -> str | None:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC" if moment else None
