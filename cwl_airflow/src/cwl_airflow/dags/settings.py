"""The settings of the engine: section ``[cwl]`` of ``airflow.cfg`` and ``default_args["cwl"]`` of a DAG."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from airflow.configuration import conf

from ..gate import Places
from . import queues
from .queues import Queue

FOLDERS = ("tmp_folder", "outputs_folder", "inputs_folder", "pickle_folder")
ENGINES = ("docker", "podman", "singularity", "apptainer")


@dataclass(frozen=True)
class Settings:
    """How documents run. The settings of a DAG, where it has them, and else the host's.

    Sizes are in MiB, times in seconds where nothing else is said.
    """

    tmp_folder: Path
    outputs_folder: Path
    inputs_folder: Path
    pickle_folder: Path
    #: What runs containers.
    container_engine: str = "docker"
    #: Keep the intermediate data of runs that succeeded.
    keep_tmp_data: bool = False
    #: After how many days the data of a failed run is removed.
    keep_failed_days: float = 7
    #: A scattered step with more jobs than this gets tasks for them.
    scatter_jobs_in_task: int = 4
    #: How many tasks a scattered step gets at most; each runs its share of the jobs. Twice as many as the site's
    #: workers run at once, where ``[cwl] worker_slots`` tells: each costs time, and shares end at different times.
    scatter_tasks: int = 32
    #: Options of cwltool by name, and ``javascript_socket`` (see `javascript.use`).
    cwltool: Mapping[str, Any] = field(default_factory=dict)

    @property
    def places(self) -> Places:
        """What runs may read and write. Only the host says so, and no DAG."""
        dags = Path(conf.get("core", "dags_folder"))
        folders = {"dags_folder": dags, **{name: getattr(self, name) for name in FOLDERS}}
        return Places.of(dags.parent, folders, lambda name: conf.get("cwl", name, fallback=None))

    @property
    def folders(self) -> dict[str, str]:
        """The folders by name."""
        return {name: str(getattr(self, name)) for name in FOLDERS}

    @property
    def container_command(self) -> str:
        """The command that removes containers."""
        return "podman" if self.container_engine == "podman" else "docker"

    @property
    def queues(self) -> dict[str, Queue]:
        """The queues of the site by name; none if nothing is said of them."""
        file = conf.get("cwl", "queues", fallback=None)
        return queues.read(Path(file)) if file else {}

    def granted(self, queue: str) -> tuple[float, float]:
        """Return the cores and the memory in MiB that a task in a queue may use: all where nothing says less."""
        if known := self.queues.get(queue):
            return float(known.cpus), float(known.ram)
        return float(os.cpu_count() or 1), psutil.virtual_memory().total / 2**20

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Settings:
        """Read the settings.

        :param args: ``default_args["cwl"]`` of the DAG.
        :raises ValueError: names the setting, its value and what it may be.
        """
        home = Path(conf.get("core", "dags_folder")).parent / "cwl"
        folders: dict[str, Any] = {
            name: Path(_text(name, args) or home / name.removesuffix("_folder")) for name in FOLDERS
        }
        engine = _text("container_engine", args) or _engine_of(args)
        if engine not in ENGINES:
            raise ValueError(f"[cwl] container_engine is {engine}; it may be one of {', '.join(ENGINES)}")
        numbers: dict[str, Any] = {
            "keep_failed_days": _number("keep_failed_days", args, cls.keep_failed_days, 0),
            "scatter_jobs_in_task": int(_number("scatter_jobs_in_task", args, cls.scatter_jobs_in_task, 1)),
            "scatter_tasks": _scatter_tasks(args, cls.scatter_tasks),
        }
        own = {*folders, *numbers, "container_engine", "keep_tmp_data", "data_paths", "fetch_hosts", "document_hosts"}
        cwltool: dict[str, Any] = {"enable_dev": True, "eval_timeout": 120}
        cwltool |= {name: value for name, value in args.items() if name not in own}
        for name in ("use_container", "no_match_user", "skip_schemas", "strict", "quiet"):
            if conf.has_option("cwl", name):
                cwltool[name] = conf.getboolean("cwl", name)
        if address := _text("javascript_socket", args):
            cwltool["javascript_socket"] = address
        cwltool["podman"] = engine == "podman"
        cwltool["singularity"] = engine in ("singularity", "apptainer")
        keep = (_text("keep_tmp_data", args) or "false").lower() in ("true", "t", "1", "yes")
        return cls(**folders, **numbers, container_engine=engine, keep_tmp_data=keep, cwltool=cwltool)


def _text(name: str, args: Mapping[str, Any]) -> str | None:
    # As before: what the host says goes before what a DAG says.
    value = conf.get("cwl", name, fallback=None) or args.get(name)
    return None if value in (None, "") else str(value)


def _number(name: str, args: Mapping[str, Any], default: float, least: float) -> float:
    value = _text(name, args)
    try:
        number = float(default if value is None else value)
    except ValueError:
        number = least - 1
    if not least <= number < math.inf:
        raise ValueError(f"[cwl] {name} is {value}; it must be a number of at least {least}")
    return number


def _scatter_tasks(args: Mapping[str, Any], default: int) -> int:
    slots = conf.getint("cwl", "worker_slots", fallback=0)
    most = conf.getint("core", "max_map_length")  # Airflow fails a task that gets more
    number = int(_number("scatter_tasks", args, min(max(2 * slots, 4) if slots else default, most), 1))
    if number > most:
        raise ValueError(f"[cwl] scatter_tasks is {number}; it must be at most {most}, which is [core] max_map_length")
    return number


def _engine_of(args: Mapping[str, Any]) -> str:
    return next((engine for engine in ("podman", "singularity") if args.get(engine)), "docker")
