"""What the parts that stop a run tell each other."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeAlias

#: The name of the remote control command of a worker.
COMMAND = "cwl_stop"

#: A job as far as it names folders, or the path of its file; none if it says nothing of that.
JobFolders: TypeAlias = Mapping[str, Any] | str | None


class NotStopped(Exception):
    """Something of a run is still there; the message names what, and where."""


@dataclass(frozen=True)
class StartedTask:
    """A task that was started."""

    name: str
    #: Its worker's.
    host: str
    #: Under which its worker got it from Celery.
    celery_task_id: str | None


@dataclass(frozen=True)
class RunRows:
    """What the rows of a run say."""

    #: Tasks that were started and did not succeed; something of them may be left.
    unsure: list[StartedTask]
    job: JobFolders
    #: Paths of the files with the reports of its tasks.
    reports: list[str]
    #: Ids of its task instances, one for each try, by which their processes are known.
    task_instances: list[str]


@dataclass(frozen=True)
class RunReference:
    """Which run workers are asked about, and what tells where its data and its processes are."""

    dag_id: str
    run_id: str
    job: JobFolders
    #: Paths of the files with the reports of its tasks.
    reports: list[str]
    #: Ids of its task instances, one for each try, by which their processes are known.
    task_instances: list[str]


@dataclass(frozen=True)
class EndTimes:
    """How long processes and containers of a run may take to end, in seconds."""

    #: For how long tasks may end themselves; then they are killed.
    grace: float
    #: When to give up.
    limit: float


@dataclass(frozen=True)
class StopRequest:
    """What workers are asked to do: end what a run has on their hosts, or else remove its data."""

    run: RunReference
    #: None to remove the data.
    end: EndTimes | None = None
    #: Names of hosts that run nothing any more.
    gone_hosts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return {**asdict(self), "gone_hosts": list(self.gone_hosts)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> StopRequest:
        """Return what `to_json` returned as it was."""
        end = EndTimes(**content["end"]) if content["end"] else None
        return cls(RunReference(**content["run"]), end, tuple(content["gone_hosts"]))


@dataclass(frozen=True)
class WorkerAnswer:
    """How far a worker is with a request."""

    #: Its host, as tasks note it.
    host: str
    #: What is still there when it has done what it was asked; none before.
    remaining: list[str] | None

    def to_json(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> WorkerAnswer:
        """Return what `to_json` returned as it was.

        :raises KeyError: it is something else, for instance what Celery says of an error.
        """
        return cls(content["host"], content["remaining"])


#: By the name of the worker.
WorkerAnswers: TypeAlias = dict[str, WorkerAnswer]


class Database(Protocol):
    """Where the rows of runs are."""

    def mark_failed(self, dag_id: str, run_id: str, /) -> RunRows | None:
        """Mark what has not ended of a run as failed; none if there is no such run."""

    def remove_run(self, dag_id: str, run_id: str, /) -> None:
        """Remove the rows of a run."""


class Workers(Protocol):
    """The workers of a site, which can be asked questions."""

    def ask(
        self, key: str, request: StopRequest, /, *, destination: list[str] | None, expected: int | None
    ) -> WorkerAnswers:
        """Have workers begin with a request, or say how far they are with it.

        :param key: tells a request that is new from one that was asked before.
        :param destination: names of the workers that are asked; all by default.
        :param expected: how many answers to wait for.
        :raises NotStopped: they cannot be asked.
        """

    def find_ended(self, celery_task_ids: Collection[str], /) -> set[str]:
        """Return those of some tasks of Celery that have surely ended, whether their workers are there or not."""


@dataclass(frozen=True)
class Deadline:
    """For how long the tasks of a run may end themselves, and are then killed."""

    #: By `time.monotonic`.
    began: float
    #: In seconds.
    grace: float

    def remaining(self, graces: int) -> float:
        """Return how much is left of so many times the grace, in seconds."""
        return max(self.began + graces * self.grace - time.monotonic(), 0)
