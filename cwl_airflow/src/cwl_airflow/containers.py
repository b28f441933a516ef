"""A container engine, by its command: docker, podman and the like."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Collection
from pathlib import Path

import psutil

#: For how long an engine may take to answer, in seconds.
TIMEOUT = 60
#: The services of engines that have some: with them their containers end.
PROGRAMS = {"docker": ("dockerd", "containerd")}
#: Where engines have images and what containers write, unless they are told otherwise.
FOLDERS = {"docker": (Path("/var/lib/docker"), Path("/var/lib/containerd"))}
#: What engines say of a container or an image that is gone.
_GONE = re.compile("no (such )?(container|image|object)", re.IGNORECASE)
#: What they say of an image that a container was made of.
_USED = re.compile("conflict|in use|is using|used by", re.IGNORECASE)


class ContainerEngineError(Exception):
    """An engine did not do what it was asked; the message is its own."""


class ContainerEngine:
    """Lists, looks into and removes containers; one that is gone meanwhile is no error."""

    def __init__(self, command: str, timeout: float | None = TIMEOUT) -> None:
        """Take the command.

        :param timeout: for how long it may take to answer, in seconds; none for as long as it takes.
        """
        self.command = command
        self._timeout = timeout

    def list_containers(self) -> list[str]:
        """Return the identifiers of all containers, also of those that do not run.

        :raises ContainerEngineError: the engine does not say.
        """
        return self._run("ps", "--all", "--quiet", "--no-trunc").split()

    def inspect_mounts(self, containers: Collection[str]) -> dict[str, list[str]]:
        """Return the folders of the host that containers have, by container; those that are gone are left out.

        :raises ContainerEngineError: the engine does not say.
        """
        if not containers:
            return {}
        line_format = "{{.Id}}{{range .Mounts}}\t{{.Source}}{{end}}"
        lines = self._run("inspect", "--format", line_format, *containers).splitlines()
        return {container: sources for container, *sources in (line.split("\t") for line in lines)}

    def remove(self, *containers: str) -> None:
        """Remove containers, whether they run or not; nothing happens if they are gone.

        :raises ContainerEngineError: one is still there, or the engine does not say.
        """
        self._run("rm", "--force", *containers)

    def image_size(self, image: str) -> int | None:
        """Return the size of an image in bytes; none if it is not there.

        :raises ContainerEngineError: the engine does not say.
        """
        size = self._run("image", "inspect", "--format", "{{.Size}}", image).strip()
        return int(size) if size.isdigit() else None

    def pull(self, image: str) -> None:
        """Pull an image, for as long as it takes.

        :raises ContainerEngineError: it cannot be had.
        """
        ContainerEngine(self.command, timeout=None)._run("pull", "--quiet", image)

    def image_digests(self, image: str) -> list[str]:
        """Return the names with digests by which an image can be pulled; none if it is not there, or from no registry.

        :raises ContainerEngineError: the engine does not say.
        """
        return self._run("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', image).split()

    def remove_image(self, image: str) -> bool:
        """Remove an image by its name, and tell whether it is gone: one that a container was made of stays.

        :raises ContainerEngineError: it is still there for another reason, or the engine does not say.
        """
        try:
            self._run("image", "rm", image)
        except ContainerEngineError as error:
            if not _USED.search(str(error)):
                raise
            return False
        return True

    def was_lost_since(self, moment: float) -> bool:
        """Tell whether the engine of this host is away, or was since a moment: its containers are gone.

        :param moment: in seconds since the epoch.
        """
        if self.is_away():  # asked first: it may be starting, and answers then
            return True
        programs = [process for process in psutil.process_iter() if _name(process) in PROGRAMS.get(self.command, ())]
        return any(_begin(process) > moment for process in programs)

    def is_away(self) -> bool:
        """Tell whether the engine does not answer."""
        try:
            self._run("version")
        except ContainerEngineError:
            return True
        return False

    def _run(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                [self.command, *arguments], check=False, capture_output=True, text=True, timeout=self._timeout
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ContainerEngineError(str(error)) from error
        message = done.stderr.strip()
        if done.returncode != 0 and not _GONE.search(message):
            raise ContainerEngineError(message or f"exit status {done.returncode}")
        return done.stdout


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return process.name()
    return ""


def _begin(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return process.create_time()
    return 0
