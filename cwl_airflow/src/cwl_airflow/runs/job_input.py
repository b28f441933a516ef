"""Refuse jobs that cannot run, in words that name what to change."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

from ..gate import Gate
from ..gate.job import FOLDERS, absolute_path, read_job
from ..gate.objects import FILES, check_content, has_odd_class, is_remote, local_path
from .near_names import did_you_mean, nearest_name


def check_input_names(job: Mapping[str, Any], parameters: Sequence[Mapping[str, Any]]) -> list[str]:
    """Refuse a job that lacks an input or misspells one.

    CWL allows a job to hold more than a document takes, so only a name that is close to an input's
    that was not given counts as misspelt.

    :param job: the job, with its names as given.
    :param parameters: the document's inputs, each with ``id`` (the short name), ``type`` and, where it has one,
        ``default``.
    :returns: what the job gives beside its inputs, each in a line that says so.
    :raises ValueError: names the input, and the nearest name.
    """
    for parameter in parameters:
        if has_odd_class(job.get(parameter["id"])) and "Any" not in str(parameter["type"]):
            raise ValueError(f"Input '{parameter['id']}': a 'class' must be File or Directory.")
    missing = [parameter for parameter in parameters if job.get(parameter["id"]) is None]
    unknown = [name for name in job if name not in {p["id"] for p in parameters} | set(FOLDERS) and ":" not in name]
    for name in unknown:
        meant = nearest_name(name, [parameter["id"] for parameter in parameters])
        if meant in {parameter["id"] for parameter in missing}:
            raise ValueError(f"Input '{name}' is not one of the workflow's.{did_you_mean(meant)}")
    for parameter in missing:
        if not _is_optional(parameter):
            name = parameter["id"]
            known = ", ".join(sorted(job)) or "nothing"
            raise ValueError(
                f"Input '{name}' is missing. The job gives: {known}.{did_you_mean(nearest_name(name, unknown))}"
            )
    return [
        f"The job gives '{name}', which is no input of the document and is not used."
        f"{did_you_mean(nearest_name(name, [parameter['id'] for parameter in parameters]))}"
        for name in unknown
    ]


def _is_optional(parameter: Mapping[str, Any]) -> bool:
    kind = parameter.get("type")
    kinds = kind if isinstance(kind, MutableSequence) else [kind]
    return "default" in parameter or "null" in kinds


def folders_named_by_job(job: Any, base: str, gate: Gate) -> dict[str, str]:
    """Return the folders that a job names for its run.

    :param job: the job, or path of its file.
    :param base: folder to which a relative path refers.
    :raises Refused: the file may not be read.
    """
    if isinstance(job, str) and not is_remote(job) and os.path.isfile(path := absolute_path(job, base)):
        job = read_job(path, gate)
    return {name: str(job[name]) for name in FOLDERS if job.get(name)} if isinstance(job, Mapping) else {}


def check_input_files(value: Any, gate: Gate, name: str = "") -> None:
    """Refuse a job with files that its run may not read, or that are not there, or that this service may not read.

    :param value: the job with its locations resolved, or a part of it.
    :param gate: of the run.
    :param name: the input to which this part belongs.
    :raises Refused: names the input, the path and what would allow it.
    :raises FileNotFoundError: names the input, the path, and the nearest one that is there.
    :raises PermissionError: names the input, the path and the variable to set.
    """
    path = None
    if isinstance(value, MutableMapping) and value.get("class") in FILES:
        check_content(value, f"Input '{name}'")
        path = local_path(value)
    if path:
        real = gate.read(path, f"Input '{name}'")
        if os.path.isdir(real) and os.access(real, os.R_OK | os.X_OK):
            gate.read_tree(real, f"Input '{name}'")
    if path and not os.path.exists(path) and "listing" not in value:
        folder = os.path.dirname(path)
        there = os.listdir(folder) if os.access(folder, os.R_OK | os.X_OK) else []
        nearest = nearest_name(os.path.basename(path), there)
        hint = f" Did you mean {os.path.join(folder, nearest)}?" if nearest else ""
        if gate.is_open:
            raise FileNotFoundError(f"Input '{name}': {path} is not there.{hint}")
        raise FileNotFoundError(
            f"Input '{name}': {path} is not there, or not for this service to see.{hint} Inputs belong into the "
            "inputs folder or into a folder of cwl_airflow_data_paths."
        )
    elif path and os.path.exists(path) and not os.access(path, os.R_OK):
        raise PermissionError(
            f"Input '{name}': {path} may not be read by the user {pwd.getpwuid(os.geteuid()).pw_name}: "
            f"{_describe_rights(path)}. Let the group of the inputs folder read it (chgrp, chmod g+r)."
        )
    if isinstance(value, MutableMapping):
        for key, item in value.items():
            check_input_files(item, gate, name or str(key))
    elif isinstance(value, MutableSequence):
        for item in value:
            check_input_files(item, gate, name)


def _describe_rights(path: str) -> str:
    there = os.stat(path)
    try:
        owner = pwd.getpwuid(there.st_uid).pw_name
    except KeyError:
        owner = str(there.st_uid)
    return f"it is {owner}'s, {stat.filemode(there.st_mode)}"


def check_folder_writable(name: str, folder: str) -> None:
    """Refuse a folder that may not be written or made.

    :raises PermissionError: names the folder, the path and the variable.
    """
    nearest = folder
    while not os.path.exists(nearest):
        nearest = os.path.dirname(nearest)
    if not (os.path.isdir(nearest) and os.access(nearest, os.W_OK | os.X_OK)):
        raise PermissionError(
            f"'{name}': {folder} may not be written. Leave it out to use the site's own folder, or open the "
            "folder with cwl_airflow_data_paths (writable: true)."
        )
