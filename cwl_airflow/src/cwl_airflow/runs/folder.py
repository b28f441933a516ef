"""Where a run has its files, and the notes in its folder that others than its tasks look at."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from ..gate.places import RUNS, within

#: Marks the folder of a run with a failed task.
FAILED = "failed"
#: Folder with the identifiers of the containers that a run's tasks run, by the name of the host.
CONTAINERS = "containers"


def folders(tmp: Path, outputs: Path, dag_id: str, run_id: str, given: Mapping[str, str]) -> tuple[Path, Path]:
    """Return the folders of a run: of its intermediate data and of its outputs.

    :param tmp: where the intermediate data of all runs is.
    :param outputs: where the outputs of all runs are.
    :param given: what the job names as ``tmp_folder`` and ``outputs_folder``, absolute or relative to these; a
        ``tmp_folder`` in `tmp` makes no difference.
    """
    name = re.sub(r"[:+/]", "_", run_id)
    if set(name) <= {"."}:
        name = name.replace(".", "_")
    # Always a folder of this run alone, as it is removed.
    own = name if name == run_id else f"{name}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
    named = tmp / given.get("tmp_folder", "")
    # In a folder for them alone, so that none is in another's. In the site's own folder each has its place.
    base = tmp if within(os.path.realpath(named), [os.path.realpath(tmp)]) else named / RUNS
    return (
        base / dag_id / own,
        outputs / (given.get("outputs_folder") or Path(dag_id, name)),
    )


def mark(folder: Path) -> None:
    """Note that a task of a run failed, so that its data is removed some time later."""
    if folder.is_dir():
        (folder / FAILED).touch()
