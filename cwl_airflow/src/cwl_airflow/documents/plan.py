"""Which tasks a document has.

This module loads quickly: Airflow parses DAG files all the time, and a plan that is kept needs no cwltool.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

from . import cache

#: Tasks of every DAG besides its steps.
DISPATCHER, GATHERER = "CWLJobDispatcher", "CWLJobGatherer"
#: The file that reports the outputs of a run, and what it has beside them.
OUTPUTS_REPORT, STATISTICS = "workflow_report.json", "cwl-airflow:statistics"
#: Which form the entries have, and which plans they hold: another one is not read.
PLAN_FORMAT = 5


@dataclass(frozen=True)
class ResourceNeed:
    """What each job of a step needs at most: cores, and memory in MiB.

    Apart from it, how much of that the document requires; at the rest it only hints.
    """

    cores: float = 0
    ram: float = 0
    required_cores: float = 0
    required_ram: float = 0
    #: False if an expression may ask for more.
    known: bool = True

    def hinted(self) -> ResourceNeed:
        """Return the same without any of it required."""
        return replace(self, required_cores=0, required_ram=0)

    def __or__(self, other: ResourceNeed) -> ResourceNeed:
        """Return what the jobs of both need at most."""
        return ResourceNeed(
            max(self.cores, other.cores),
            max(self.ram, other.ram),
            max(self.required_cores, other.required_cores),
            max(self.required_ram, other.required_ram),
            self.known and other.known,
        )


@dataclass(frozen=True)
class StepTask:
    """A task of a step: its name in the workflow (none if the document is a tool), and the tasks before it."""

    step: str | None
    before: tuple[str, ...] = ()
    scattered: bool = False
    need: ResourceNeed = ResourceNeed()


@dataclass(frozen=True)
class AboutParameter:
    """What a document says of an input or an output."""

    name: str
    #: As CWL writes it, with all names of the document's own resolved.
    type: Any
    label: str = ""
    doc: str = ""
    #: A value of JSON, files by their names; none if there is none.
    default: Any = None
    formats: tuple[str, ...] = ()
    #: Patterns of its secondary files.
    secondary: tuple[str, ...] = ()


@dataclass(frozen=True)
class AboutDocument:
    """What a document says of itself."""

    kind: str = ""
    version: str = ""
    label: str = ""
    doc: str = ""
    inputs: tuple[AboutParameter, ...] = ()
    outputs: tuple[AboutParameter, ...] = ()
    images: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    #: Its picture, see `graph`.
    graph: str = ""


@dataclass(frozen=True)
class DocumentPlan:
    """The tasks of a document by id, and those that give its outputs."""

    tasks: Mapping[str, StepTask]
    last: tuple[str, ...]
    #: URIs of the document's ontologies.
    ontologies: tuple[str, ...] = ()
    about: AboutDocument = AboutDocument()


def task_ids(names: Iterable[str]) -> dict[str, str]:
    """Name a task for each step.

    :returns: name → id: the name itself, with ``_`` for what Airflow does not allow. Names that would get the
        same id, an empty one or that of another task get a piece of their checksum, so that an id does not
        depend on the order of the steps.
    """
    names = list(names)
    plain = {name: re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:200] for name in names}
    by_id: dict[str, list[str]] = {}
    for name in names:
        by_id.setdefault(plain[name].lower(), []).append(name)
    ids = {}
    for name in names:
        taken = len(by_id[plain[name].lower()]) > 1
        reserved = plain[name].lower() in ("", DISPATCHER.lower(), GATHERER.lower())
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        ids[name] = f"{plain[name]}-{digest}" if taken or reserved or len(name) > 200 else plain[name]
    return ids


def cached_plan(folder: Path, key: Any, make: Callable[[], tuple[DocumentPlan, Mapping[str, str]]]) -> DocumentPlan:
    """Return a plan from the cache, or make it and keep it.

    :param folder: where the entries are.
    :param key: what the plan depends on beside the texts: anything that JSON can hold.
    :param make: reads and checks the document, and returns the plan with the checksums of all texts.
    """
    return cache.cached(folder, ["plan", PLAN_FORMAT, key], make, _encode_plan, _decode_plan)


def _encode_plan(plan: DocumentPlan) -> bytes:
    tasks = [[name, task.step, task.before, task.scattered, astuple(task.need)] for name, task in plan.tasks.items()]
    about = asdict(plan.about)
    return json.dumps({"tasks": tasks, "last": plan.last, "ontologies": plan.ontologies, "about": about}).encode()


def _decode_plan(entry: bytes) -> DocumentPlan:
    content = json.loads(entry)
    tasks = {
        name: StepTask(step, tuple(before), scattered, ResourceNeed(*need))
        for name, step, before, scattered, need in content["tasks"]
    }
    return DocumentPlan(tasks, tuple(content["last"]), tuple(content["ontologies"]), _decode_about(content["about"]))


def _decode_about(content: Mapping[str, Any]) -> AboutDocument:
    def with_tuples(part: Mapping[str, Any], *names: str) -> dict[str, Any]:
        return {**part, **{name: tuple(part[name]) for name in names}}

    parameters = {
        kind: [AboutParameter(**with_tuples(each, "formats", "secondary")) for each in content[kind]]
        for kind in ("inputs", "outputs")
    }
    return AboutDocument(**with_tuples({**content, **parameters}, "inputs", "outputs", "images", "keywords"))
