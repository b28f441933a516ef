"""Look at and remove files and folders below a root, without following links.

The folders of a site are written by tools, and by the members of a group. A link in one of them leads nowhere: every
folder is opened by its name in the one above it, which is open already. The root itself may be a link, as its place is
the site's own setting.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: In which `os.stat` counts blocks, in bytes.
BLOCK = 512


@dataclass(frozen=True)
class Extent:
    """What a file has, or a folder with all that is in it."""

    #: When anything of it changed last, in seconds since the epoch.
    changed: float
    #: On the disk.
    bytes: int


@contextmanager
def open_folder(root: Path, *names: str) -> Iterator[int]:
    """Open a folder by its names below a root, and return the number under which it is open.

    :raises OSError: it is not there, or one of the names is a link.
    """
    number = os.open(root, _FOLDER)
    try:
        for name in names:
            inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=number)
            os.close(number)
            number = inner
        yield number
    finally:
        os.close(number)


def list_folders(folder: int) -> list[str]:
    """Return the names of the folders in an open one, without links to any."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))


def measure(folder: int, name: str) -> Extent:
    """Return what something in an open folder has.

    :raises OSError: it is gone.
    """
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    changed, blocks = found.st_mtime, found.st_blocks
    if stat.S_ISDIR(found.st_mode):
        for _, folders, files, inner in os.fwalk(name, dir_fd=folder, follow_symlinks=False):
            for each in (*folders, *files):
                found = os.stat(each, dir_fd=inner, follow_symlinks=False)
                changed, blocks = max(changed, found.st_mtime), blocks + found.st_blocks
    return Extent(changed, blocks * BLOCK)


def remove(folder: int, name: str) -> None:
    """Remove a file or a link in an open folder, or a folder with all that is in it.

    :raises OSError: it could not be removed, or not all of it.
    """
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        # By the number of the open folder, for which Python 3.10 has no parameter.
        shutil.rmtree(f"/proc/self/fd/{folder}/{name}")
    else:
        os.unlink(name, dir_fd=folder)
