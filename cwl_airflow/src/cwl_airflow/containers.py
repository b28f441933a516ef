"""The program that runs containers, as far as this package asks it itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

#: For how long it may take to answer, in seconds.
TIMEOUT = 60


class EngineError(Exception):
    """What the engine said instead, or that it did not answer."""


@dataclass(frozen=True)
class ContainerEngine:
    """An engine with the commands of Docker."""

    #: Its command: ``docker`` or ``podman``.
    command: str = "docker"

    def installed(self) -> bool:
        """Tell whether there is one here."""
        return shutil.which(self.command) is not None

    def remove(self, container: str, timeout: float = TIMEOUT) -> None:
        """End and remove a container, if it is still there.

        :param container: its identifier.
        :param timeout: in seconds.
        :raises EngineError: it may still be there.
        """
        self.ask("rm", "--force", container, timeout=timeout)

    def mounts(self, timeout: float = TIMEOUT) -> dict[str, list[str]]:
        """Return all containers by their identifiers, with the paths of this host that they see.

        :param timeout: in seconds, of each of two questions.
        :raises EngineError: it does not say.
        """
        containers = self.ask("ps", "--all", "--quiet", "--no-trunc", timeout=timeout).split()
        form = "{{.Id}}{{range .Mounts}}\t{{.Source}}{{end}}"
        said = self.ask("inspect", "--format", form, *containers, timeout=timeout) if containers else ""
        return {container: sources for container, *sources in (line.split("\t") for line in said.splitlines())}

    def ask(self, *arguments: str, timeout: float = TIMEOUT) -> str:
        """Return what it prints. A container that has ended meanwhile is no error.

        :raises EngineError: it failed.
        """
        try:
            done = subprocess.run(
                [self.command, *arguments], check=False, capture_output=True, text=True, timeout=timeout
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError(str(error)) from error
        said = done.stderr.strip()
        if done.returncode != 0 and not re.search("no (such )?(container|object)", said, re.IGNORECASE):
            raise EngineError(said or f"exit status {done.returncode}")
        return done.stdout
