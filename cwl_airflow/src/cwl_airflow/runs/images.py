"""Have a container engine pull the image of a job, and say in its own words why it cannot."""

from __future__ import annotations

import logging
import subprocess
from typing import Any

from cwltool.docker import DockerCommandLineJob
from cwltool.errors import WorkflowException

_logger = logging.getLogger("cwltool")


#: The images that were there when this process asked for them, each with the engine.
_THERE: set[tuple[str, str]] = set()


class ImageNotPulled(WorkflowException):
    """An engine cannot pull an image; the message has the engine's own words."""


def pull_with_words(job: Any) -> None:
    """Let a job pull its image where the words of the engine are heard: cwltool's error has its exit status alone.

    :param job: cwltool's; one without a container, or whose image is no matter of ``docker pull``, is left alone.
    """
    if not isinstance(job, DockerCommandLineJob):
        return
    get_image = job.get_image

    def get_pulled_image(requirement: dict[str, str], pull_image: bool, force_pull: bool, prefix: str) -> bool:
        if "dockerPull" not in requirement or "dockerFile" in requirement or not pull_image:
            return get_image(requirement, pull_image, force_pull, prefix)
        image = requirement.setdefault("dockerImageId", requirement["dockerPull"])
        # Not cwltool's own question: what the engine answers of an image that is not there would be shown as an error.
        if force_pull or not is_there(job.docker_exec, image):
            pull_image_of(job.docker_exec, requirement["dockerPull"])
        return True

    job.get_image = get_pulled_image  # type: ignore[method-assign,assignment]


def is_there(engine: str, image: str) -> bool:
    """Tell whether an engine has an image.

    :param engine: its command.
    """
    if (engine, image) not in _THERE:
        asked = subprocess.run([engine, "inspect", image], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if asked.returncode != 0:
            return False
        _THERE.add((engine, image))
    return True


def pull_image_of(engine: str, image: str) -> None:
    """Pull an image, and log what the engine says of it.

    :param engine: its command.
    :raises ImageNotPulled: it cannot.
    """
    command = [engine, "pull", image]
    _logger.info("%s", " ".join(command))
    said = ""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            said = line.strip() or said
            _logger.info("[%s] %s", engine, line.rstrip())
    if process.returncode != 0:
        raise ImageNotPulled(f"{engine} cannot pull the image {image}: {said or f'exit status {process.returncode}'}")
