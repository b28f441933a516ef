"""The settings of the engine: section ``[cwl]`` of ``airflow.cfg`` and ``default_args["cwl"]`` of a DAG."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import psutil
from airflow.sdk import conf
from pydantic import BaseModel, Field, ValidationError, field_validator

from ..containers import FOLDERS as ENGINE_FOLDERS
from ..containers import ContainerEngine
from ..gate import Places
from .queues import Queue, read_queues

FOLDERS = ("tmp_folder", "outputs_folder", "inputs_folder", "pickle_folder")
#: Options of cwltool that ``airflow.cfg`` may set.
CWLTOOL_SWITCHES = ("use_container", "no_match_user", "skip_schemas", "strict", "quiet", "relax_path_checks")
#: What only the host says, and no DAG.
OF_THE_HOST = ("data_paths", "fetch_hosts", "document_hosts", "share_host", "shares_dags")


class CWLSettings(BaseModel, frozen=True):
    """How documents run. The settings of a DAG, where it has them, and else the host's.

    Sizes are in MiB, times in seconds where nothing else is said.
    """

    tmp_folder: Path
    outputs_folder: Path
    inputs_folder: Path
    pickle_folder: Path
    #: What runs containers.
    container_engine: Literal["docker", "podman", "singularity", "apptainer"] = "docker"
    #: Keep the intermediate data of runs that succeeded.
    keep_tmp_data: bool = False
    #: After how many days the data of a failed run is removed.
    keep_failed_days: float = Field(default=7, ge=0, allow_inf_nan=False)
    #: How often a task is tried again that was lost with its process, its worker, the container engine or its host.
    retries: int = Field(default=2, ge=0)
    #: How much must be free on the disks of runs and of the container engine before a task begins; 0 for anything.
    min_free: float = Field(default=0, ge=0, allow_inf_nan=False)
    #: Whether Docker lets the containers of a task take no more memory and cores than its queue grants.
    limit_containers: bool = True
    #: Whether a document is refused with a step that requires more than any queue has, or runs with what there is.
    oversized: Literal["refuse", "cap"] = "refuse"
    #: Where the container engine has its data, if not where it usually is.
    engine_folder: Path | None = None
    #: A scattered step with more jobs than this gets tasks for them.
    scatter_jobs_in_task: int = Field(default=4, ge=1)
    #: How many tasks a scattered step gets at most; each runs its share of the jobs. Twice as many as the site's
    #: workers run at once, where ``[cwl] worker_slots`` tells: each costs time, and shares end at different times.
    scatter_tasks: int = Field(default_factory=lambda: _default_scatter_tasks(), ge=1)
    #: Options of cwltool by name, and ``javascript_socket`` (see `javascript.client`).
    cwltool: dict[str, Any] = Field(default_factory=dict)

    @field_validator("scatter_tasks")
    @classmethod
    def _fits_airflow(cls, number: int) -> int:
        most = conf.getint("core", "max_map_length")  # Airflow fails a task that gets more
        if number > most:
            raise ValueError(f"at most {most}, which is [core] max_map_length")
        return number

    @property
    def places(self) -> Places:
        """What runs may read and write. Only the host says so, and no DAG."""
        dags = Path(conf.get_mandatory_value("core", "dags_folder"))
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
    def engine(self) -> ContainerEngine:
        """What has the containers of steps."""
        return ContainerEngine(self.container_command)

    @property
    def engine_folders(self) -> Sequence[Path]:
        """Where the container engine has its data."""
        return [self.engine_folder] if self.engine_folder else ENGINE_FOLDERS.get(self.container_engine, ())

    @property
    def queues(self) -> dict[str, Queue]:
        """The queues of the site by name; none if nothing is said of them."""
        file = conf.get("cwl", "queues", fallback=None)
        return read_queues(Path(file)) if file else {}

    @property
    def capped(self) -> bool:
        """Whether steps that require more than there is run with less."""
        return self.oversized == "cap"

    @property
    def share_host(self) -> bool:
        """Whether the steps on a host wait for each other where they would take more together than it has."""
        return bool(conf.getboolean("cwl", "share_host", fallback=True))

    @property
    def shares_dags(self) -> bool:
        """Whether what is written into the folder of DAG files on one host is there on all of the site."""
        return bool(conf.getboolean("cwl", "shares_dags", fallback=True))

    def granted_resources(self, queue: str) -> tuple[float, float]:
        """Return the cores and the memory in MiB that a task in a queue may use: all where nothing says less."""
        if known := self.queues.get(queue):
            return float(known.cpus), float(known.ram)
        return float(os.cpu_count() or 1), psutil.virtual_memory().total / 2**20

    @classmethod
    def read(cls, args: Mapping[str, Any]) -> CWLSettings:
        """Read the settings.

        :param args: ``default_args["cwl"]`` of the DAG.
        :raises ValueError: names the setting, its value and what it may be.
        """
        home = Path(conf.get_mandatory_value("core", "dags_folder")).parent / "cwl"
        values: dict[str, Any] = {name: home / name.removesuffix("_folder") for name in FOLDERS}
        if engine := next((engine for engine in ("podman", "singularity") if args.get(engine)), None):
            values["container_engine"] = engine
        own = [name for name in cls.model_fields if name != "cwltool"]
        values |= {name: value for name in own if (value := _configured_text(name, args)) is not None}
        try:
            settings = cls(**values)
        except ValidationError as error:
            raise ValueError("; ".join(_problem_line(wrong) for wrong in error.errors())) from error
        return settings.model_copy(update={"cwltool": _cwltool_options(args, own, settings.container_engine)})


def _configured_text(name: str, args: Mapping[str, Any]) -> str | None:
    # What the host says goes before what a DAG says.
    value = conf.get("cwl", name, fallback=None) or args.get(name)
    return None if value in (None, "") else str(value)


def _problem_line(wrong: Mapping[str, Any]) -> str:
    """Return in a line what pydantic found."""
    what = str(wrong["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return f"[cwl] {wrong['loc'][0]} is {wrong['input']}; it must be {what}"


def _cwltool_options(args: Mapping[str, Any], own: list[str], engine: str) -> dict[str, Any]:
    options: dict[str, Any] = {"enable_dev": True, "eval_timeout": 120}
    options |= {name: value for name, value in args.items() if name not in {*own, *OF_THE_HOST}}
    options |= {name: conf.getboolean("cwl", name) for name in CWLTOOL_SWITCHES if conf.has_option("cwl", name)}
    if address := _configured_text("javascript_socket", args):
        options["javascript_socket"] = address
    return options | {"podman": engine == "podman", "singularity": engine in ("singularity", "apptainer")}


def _default_scatter_tasks() -> int:
    slots = conf.getint("cwl", "worker_slots", fallback=0)
    return min(max(2 * slots, 4) if slots else 32, conf.getint("core", "max_map_length"))
