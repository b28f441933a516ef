"""Files where runs may read them: one of one's own on the same disk gets a second name, which takes no room.

Members of the group of the data get at all of it, and nobody else.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from ..runs.room import find_full

#: Modes of the folder of all, which only the group gets into, and of those in it: containers have no groups.
OUTER, FOLDER = 0o2770, 0o2775


def place_file(path: str, place: Path, least: float, link: bool = True, inside: frozenset[str] = frozenset()) -> None:
    """Put a file or folder somewhere.

    :param least: what must be free afterwards if it is copied, in MiB.
    :param link: whether a file of one's own may have a second name there, and is no copy.
    :param inside: real paths of the folders that it is in, of those that are put there as well.
    :raises OSError: it cannot be read, there is no room, or a folder has a link to one that it is in.
    """
    make_folder(place.parent)
    if os.path.isdir(path):
        real = os.path.realpath(path)
        if real in inside:
            raise OSError(f"{path} leads to a folder that it is in itself")
        make_folder(place)
        for entry in os.scandir(path):
            place_file(entry.path, place / entry.name, least, link, inside | {real})
        return
    found = os.stat(path)
    # What is linked keeps its mode, and what a tool reads in its container is read by others than its owner.
    if link and found.st_mode & stat.S_IROTH and found.st_uid == os.geteuid():
        with suppress(OSError):  # on another disk
            os.link(os.path.realpath(path), place)
            return
    if least and (full := find_full([place], least + found.st_size / 2**20)):
        raise OSError(
            f"{path} has {found.st_size / 2**20:.0f} MiB and is not copied: {full[0]}, and {least:g} must stay so "
            "([cwl] min_free). A file on the same disk, which is yours and which others may read, needs no copy."
        )
    shutil.copyfile(path, place)
    place.chmod(0o755 if found.st_mode & stat.S_IXUSR else 0o644)


def make_folder(folder: Path, mode: int = FOLDER) -> None:
    """Make a folder, and those that it is in, in which the group of the data may write and remove.

    :param mode: of the folder itself.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):  # somebody else was faster
        folder.mkdir()
        folder.chmod(mode)
