"""The settings of the engine: section ``[cwl]`` of ``airflow.cfg`` and ``default_args["cwl"]`` of a DAG."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml
from airflow.configuration import conf

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
    #: How many tasks a scattered step gets at most; each runs its share of the jobs.
    scatter_tasks: int = 32
    #: Options of cwltool by name.
    cwltool: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folders(self) -> dict[str, str]:
        """The folders by name."""
        return {name: str(getattr(self, name)) for name in FOLDERS}

    @property
    def container_command(self) -> str:
        """The command that removes containers."""
        return "podman" if self.container_engine == "podman" else "docker"

    def granted(self, queue: str) -> tuple[float, float]:
        """Return the cores and the memory in MiB that a task in a queue may use: all where nothing says less."""
        file = conf.get("cwl", "queues", fallback=None)
        queues = yaml.safe_load(Path(file).read_text(encoding="utf-8")) if file else {}
        if queue not in queues:
            return float(os.cpu_count() or 1), psutil.virtual_memory().total / 2**20
        return float(queues[queue]["cpus"]), float(queues[queue]["ram"])

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
            name: kind(_number(name, args, getattr(cls, name), least))
            for name, kind, least in (
                ("keep_failed_days", float, 0),
                ("scatter_jobs_in_task", int, 1),
                ("scatter_tasks", int, 1),
            )
        }
        own = {*folders, *numbers, "container_engine", "keep_tmp_data"}
        cwltool = {"enable_dev": True, "eval_timeout": 120}
        cwltool |= {name: value for name, value in args.items() if name not in own}
        for name in ("use_container", "no_match_user", "skip_schemas", "strict", "quiet"):
            if conf.has_option("cwl", name):
                cwltool[name] = conf.getboolean("cwl", name)
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


def _engine_of(args: Mapping[str, Any]) -> str:
    return next((engine for engine in ("podman", "singularity") if args.get(engine)), "docker")
