"""Which images of the container engine no document names any more.

An image does not say who pulled it. So the names that documents had are noted, at each tidying, and only an image with
such a name is ever removed. One that somebody pulled by hand under that very name cannot be told from it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from ..configuration import airflow_home
from ..containers import ContainerEngine, ContainerEngineError
from ..documents.images import find_images
from ..files import write_atomically
from .removal import DAY, Removal


def remove_images(
    removal: Removal, engine: ContainerEngine, folders: Iterable[Path], kept: Collection[str], days: float
) -> None:
    """Remove images that no document has named for some time.

    :param folders: where documents are.
    :param kept: names of images that stay in any case.
    :param days: for how many days no document has named them.
    """
    images, errors = find_images([folder for folder in folders if folder.exists()])
    if errors:  # who knows what those name
        removal.fail("no image was removed, as not every document can be read", errors[0])
        return
    noted = _read_notes()
    now = time.time()
    noted |= dict.fromkeys(map(short_name, images), now)
    stay = {*map(short_name, images), *map(short_name, kept)}
    for image, named in sorted(noted.items()):
        if image not in stay and now - named >= days * DAY:
            try:
                size = engine.image_size(image)
                if size is not None and (removal.dry_run or engine.remove_image(image)):
                    removal.note(f"image {image}", size)
                    size = None
            except ContainerEngineError as error:
                removal.fail(f"image {image}", error)
            else:
                if size is None and not removal.dry_run:
                    del noted[image]
    if not removal.dry_run:
        write_atomically(_notes_file(), json.dumps(noted))


def short_name(image: str) -> str:
    """Return the shortest of the names that an image of Docker Hub has, so that they compare."""
    return re.sub(r"^(library/)", "", re.sub(r"^((index\.|registry-1\.)?docker\.io/)", "", image))


def _read_notes() -> dict[str, float]:
    try:
        return dict(json.loads(_notes_file().read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def _notes_file() -> Path:
    return airflow_home() / "tidying-images.json"
