"""Put the outputs of a run into a folder of somebody's own, beside what is there.

Of that nothing changes but files that are called like outputs.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from ..documents.plan import OUTPUTS_REPORT


def copy_outputs(folder: Path, outdir: Path) -> None:
    """Copy the outputs of a run, but not its report.

    :param folder: with its outputs.
    :param outdir: is there; its mode stays, and that of folders in it.
    :raises OSError: names the output, and what is in its way.
    """
    for entry in os.scandir(folder):
        if entry.name != OUTPUTS_REPORT:
            _copy(entry, outdir / entry.name)


def _copy(entry: os.DirEntry[str], target: Path) -> None:
    if entry.is_dir(follow_symlinks=False):
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            raise OSError(f"The output {entry.name} is a folder, and {target} is none: its files stay in {entry.path}")
        target.mkdir(exist_ok=True)
        for inner in os.scandir(entry.path):
            _copy(inner, target / inner.name)
        return
    if target.is_dir() and not target.is_symlink():
        raise OSError(f"The output {entry.name} is a file, and {target} is a folder: it stays in {entry.path}")
    # A link that is there is replaced, and not what it leads to.
    new = target.with_name(f".{uuid.uuid4()}.new")
    try:
        shutil.copy(entry.path, new, follow_symlinks=False)
        os.replace(new, target)
    finally:
        new.unlink(missing_ok=True)
