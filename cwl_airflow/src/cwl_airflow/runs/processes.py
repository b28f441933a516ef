"""End what a task started: processes and containers, whatever they do about signals."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import shutil
from pathlib import Path

import psutil

from ..containers import ContainerEngine, ContainerEngineError

_logger = logging.getLogger("cwltool")


def adopt_orphans() -> None:
    """Become the parent of all that the tools leave behind, so that it can be found and ended.

    Source: PR_SET_CHILD_SUBREAPER in prctl(2).
    """
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def end_children() -> None:
    """Kill all processes that this one started, and what they left."""
    while children := psutil.Process().children(recursive=True):
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        if not psutil.wait_procs(children, timeout=5)[0]:
            break


def remove_noted_containers(folder: Path, engine: ContainerEngine) -> None:
    """Remove the containers that are noted in a folder, and the folder; what could not be removed stays noted.

    :param folder: where cwltool noted the identifiers of the containers.
    """
    for file in folder.glob("*.cid"):
        try:
            if container := file.read_text(encoding="utf-8").strip():
                _logger.info("Removing container %s", container)
                engine.remove(container)
            file.unlink()
        except ContainerEngineError as error:
            _logger.error("Container %s could not be removed: %s", container, error)
        except OSError:  # it is gone
            pass
    if not any(folder.glob("*.cid")):
        shutil.rmtree(folder, ignore_errors=True)
