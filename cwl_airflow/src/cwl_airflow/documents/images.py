"""Find the container images that CWL documents need.

cwl-utils reads the documents (every version and form, ``run:`` references included). Its own
extractor is not used as a whole: it takes one process per call, not a ``$graph`` of several, loads a
referenced tool once per step, and leaves out the tag ``latest`` for requirements of steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from cwl_utils import parser

from ..gate import Refused
from ..gate.job import check_size


class DocumentError(Exception):
    """A CWL document that cannot be read; the message names file and, where there is one, line."""


def is_document(path: Path) -> bool:
    """Tell whether a file is a CWL document of its own.

    Fragments that others ``$import`` have no ``cwlVersion`` and are not: they are read with the
    document that imports them.

    :raises DocumentError: the file cannot be read, is no YAML, or is nested too deep to be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        check_size(text, str(path))
        content = yaml.load(text, Loader=_LOADER)  # nosec B506  # a safe one
    except Refused as error:
        raise DocumentError(str(error)) from error
    except OSError as error:
        raise DocumentError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise DocumentError(f"{path}{line}: not YAML: {problem}") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error
    return isinstance(content, dict) and "cwlVersion" in content


# Scalars stay text: CWL's YAML has no time stamps and the like, so that they need not be valid ones.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def _list_processes(loaded: Any) -> Iterator[Any]:
    yield from loaded if isinstance(loaded, list) else [loaded]


def _required_images(part: Any) -> Iterator[str]:
    """Find the images in the requirements and hints of a process or step."""
    for requirement in [*(part.requirements or []), *(part.hints or [])]:
        image = None
        if isinstance(requirement, parser.DockerRequirementTypes):
            image = requirement.dockerPull
        elif isinstance(requirement, Mapping) and requirement.get("class") == "DockerRequirement":
            image = requirement.get("dockerPull")  # cwl-utils leaves the hints of steps as they were written
        if image:
            yield image


def _all_images(process: Any, seen: set[str]) -> Iterator[str]:
    """Find the images of a process, of its steps, and of all that they run."""
    yield from _required_images(process)
    for step in getattr(process, "steps", None) or []:
        yield from _required_images(step)
        if not isinstance(step.run, str):
            yield from _all_images(step.run, seen)
        elif step.run not in seen:
            seen.add(step.run)
            for referenced in _list_processes(_load_referenced(step.run)):
                yield from _all_images(referenced, seen)


def _load_referenced(uri: str) -> Any:
    try:
        # cwl-utils decodes a URI as if it were a form, where a plus sign is a space.
        return parser.load_document_by_uri(uri.replace("+", "%2B"))
    except Exception as error:  # its messages do not all name the file
        raise DocumentError(f"{uri}: {error}") from error


def document_images(path: Path) -> set[str]:
    """Return the images that one document needs.

    :param path: a CWL document of version 1.0, 1.1 or 1.2, in YAML or JSON, packed or not.
    :returns: the ``dockerPull`` values, with the tag ``latest`` where they have none.
    :raises DocumentError: the document is no valid CWL.

    Source: https://www.commonwl.org/v1.2/CommandLineTool.html#DockerRequirement
    """
    try:
        loaded = parser.load_document_by_uri(path.resolve().as_uri(), load_all=True)
        found = [image for process in _list_processes(loaded) for image in _all_images(process, set())]
    except Exception as error:  # cwl-utils raises what its parsers raise
        raise DocumentError(f"{path}: {' '.join(str(error).split())}") from error
    return {with_tag(image) for image in found}


def with_tag(image: str) -> str:
    """Add the tag that the Docker engine assumes: ``host:5000/name`` has none, ``name@sha256:…`` needs none."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"


def find_images(folders: Iterable[Path]) -> tuple[dict[str, list[str]], list[str]]:
    """Search folders for CWL documents and the images that they need.

    :param folders: folders or single documents.
    :returns: documents by image, and one message per document that could not be read.
    """
    images: dict[str, set[str]] = {}
    errors: list[str] = []
    for folder in folders:
        if not folder.exists():
            errors.append(f"{folder}: no such file or folder")
        paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*.cwl") if not path.is_dir())
        for path in paths:
            try:
                if is_document(path):
                    for image in document_images(path):
                        images.setdefault(image, set()).add(str(path))
            except DocumentError as error:
                errors.append(str(error))
    return {image: sorted(paths) for image, paths in sorted(images.items())}, errors
