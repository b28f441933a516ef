"""The one place that knows the quirks of cwl-airflow, of its cwltool and of Airflow.

Airflow loads this module in every process through the entry point ``airflow.policy``. It imports
none of what it adapts: each function runs when its module is first imported by somebody else.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, MutableMapping, MutableSequence
from typing import Any
from urllib.parse import unquote, urlsplit

from wrapt import when_imported

# Alembic announces its own plug-ins before the output of every `airflow` command.
logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)

# Docker Hub under the names that people write; the engine lists its images without them.
# Source: https://github.com/distribution/reference/blob/main/normalize.go
DOCKER_HUB = re.compile(r"^(?:(?:index\.)?docker\.io/)?(?:library/(?!.*/))?")


def engine_name(image: str) -> str:
    """Return the name under which the Docker engine lists an image.

    :param image: a ``dockerPull`` value, for instance ``docker.io/library/debian:bookworm-slim``.
    :returns: for instance ``debian:bookworm-slim``; names of other registries are left alone.
    """
    return DOCKER_HUB.sub("", image)


@when_imported("cwltool.docker")
def _recognise_docker_hub_names(module: Any) -> None:
    """Let cwltool of 2021 find pulled images under ``docker.io/…``: it compares names literally."""
    job = module.DockerCommandLineJob
    get_image = job.get_image

    def get_image_by_engine_name(docker_requirement: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        for key in ("dockerPull", "dockerImageId"):
            if isinstance(docker_requirement.get(key), str):
                docker_requirement[key] = engine_name(docker_requirement[key])
        return get_image(docker_requirement, *args, **kwargs)

    job.get_image = staticmethod(get_image_by_engine_name)


@when_imported("cwl_airflow.utilities.cwl")
def _adapt_utilities(module: Any) -> None:
    """Keep upstream from deleting other people's DAG files, and name inputs that cannot be read."""

    def keep_dags(cwl_id: str, dags_folder: str) -> None:
        """Stand in for ``remove_outdated_dags``, which deletes DAG files whose name contains ``cwl_id``."""

    module.remove_outdated_dags = keep_dags
    module.load_job = _checked_load_job(module.load_job)


@when_imported("airflow.utils.serve_logs")
def _bind_worker_logs(module: Any) -> None:
    """Let ``[logging] worker_log_server_host`` choose the address: Airflow 2 binds all of them."""
    option = module.GunicornOption

    def bound_option(key: str, value: Any) -> Any:
        if key == "bind":
            host = module.conf.get("logging", "worker_log_server_host", fallback="127.0.0.1")
            value = f"{host}:{str(value).rpartition(':')[2]}"
        return option(key, value)

    module.GunicornOption = bound_option


def job_locations(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Find the local files and folders that a job names.

    :param value: the job, or a part of it.
    :param name: the input to which this part belongs.
    :returns: pairs of the input's name and the absolute path of a ``File`` or ``Directory``.
    """
    if isinstance(value, MutableMapping):
        if value.get("class") in ("File", "Directory"):
            location = str(value.get("location") or value.get("path") or "")
            path = unquote(urlsplit(location).path) if location.startswith("file:") else location
            if os.path.isabs(path):
                yield name, path
        for key, item in value.items():
            yield from job_locations(item, name or str(key))
    elif isinstance(value, MutableSequence):
        for item in value:
            yield from job_locations(item, name)


def check_locations(job: Any) -> None:
    """Refuse a job whose inputs this service cannot see or whose folders it may not write.

    :param job: the run's job object.
    :raises FileNotFoundError: names the input, the path and the variable.
    :raises PermissionError: names the folder, the path and the variable.
    """
    for name, path in job_locations(job):
        if not os.access(path, os.R_OK):
            raise FileNotFoundError(
                f"Input '{name}': {path} is not there or may not be read. Put it under the inputs folder "
                "(/var/lib/airflow/cwl/inputs), or open its folder with cwl_airflow_data_paths."
            )
    for key in ("outputs_folder", "tmp_folder"):
        folder = job.get(key) if isinstance(job, MutableMapping) else None
        if isinstance(folder, str) and os.path.isabs(folder) and not _may_be_written(folder):
            raise PermissionError(
                f"'{key}': {folder} may not be written. Leave it out to use the site's own folder, or open the "
                "folder with cwl_airflow_data_paths (writable: true)."
            )


def _may_be_written(folder: str) -> bool:
    """Tell whether a folder may be written, or made in the nearest one that is there."""
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _checked_load_job(load_job: Callable[..., Any]) -> Callable[..., Any]:
    def checked(workflow: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        check_locations(job)
        return load_job(workflow, job, *args, **kwargs)

    return checked
