"""The files that come with a workflow in a request of the Workflow Execution Service (WES).

Source: https://ga4gh.github.io/workflow-execution-service-schemas/ (1.0.0, RunWorkflow)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping, MutableSequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

#: Bytes of a path and of each name in it, less than what Linux allows, as folders come before it.
LONGEST_PATH, LONGEST_NAME = 1024, 255


class Upload(Protocol):
    """A file of a request, as Werkzeug has it."""

    @property
    def filename(self) -> str | None:
        """What the client calls it."""

    def save(self, dst: Any) -> None:
        """Write it to a stream."""


def check_path(name: str | None) -> str:
    """Return the path of an attachment below the folder of its run.

    :param name: what the client calls it.
    :raises ValueError: it would not be below that folder, or cannot be a file; the message is one sentence.
    """
    name = name or ""
    parts = name.split("/")
    if not name:
        raise ValueError("A workflow_attachment has no file name.")
    if {"", ".", ".."} & set(parts) or re.search("[\x00-\x1f\x7f\ud800-\udfff]", name):
        raise ValueError(
            f"workflow_attachment {name!a}: its name must be a relative path without '.', '..' and control characters."
        )
    if len(name.encode()) > LONGEST_PATH or any(len(part.encode()) > LONGEST_NAME for part in parts):
        raise ValueError(
            f"A workflow_attachment has a name of more than {LONGEST_NAME} bytes, or {LONGEST_PATH} with its folders."
        )
    return name


def save(uploads: Iterable[Upload], folder: Path) -> None:
    """Write attachments to the folder of their run, which is not there yet.

    :raises ValueError: a name that `check_path` refuses, that is given twice, or that is a folder of another one.
    """
    uploads = list(uploads)
    names = [check_path(upload.filename) for upload in uploads]
    folders = {str(parent) for name in names for parent in Path(name).parents}
    for name in names:
        if names.count(name) > 1 or name in folders:
            raise ValueError(f"workflow_attachment '{name}' is given twice, or is a folder of another one.")
    folder.mkdir(parents=True)
    for upload, name in zip(uploads, names, strict=True):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as stream:
            upload.save(stream)


def check_document(url: str, names: Iterable[str]) -> str:
    """Return which attachment is the workflow, with ``#name`` if it says which process.

    :param url: ``workflow_url`` of the request.
    :param names: those of the attachments.
    :raises ValueError: it is none of them.
    """
    if url.partition("#")[0] not in names:
        raise ValueError("workflow_url must name one of the files that come as workflow_attachment.")
    return url


def placed(job: Any, folder: Path) -> Any:
    """Return a job whose relative paths and locations are in a folder.

    :param job: the job, or a part of it, which may not be nested without end.
    """
    if isinstance(job, MutableSequence):
        return [placed(item, folder) for item in job]
    if not isinstance(job, MutableMapping):
        return job
    made = {name: placed(value, folder) for name, value in job.items()}
    if made.get("class") in ("File", "Directory"):
        made |= _placed(made, folder)
    return made


def _placed(file: Mapping[str, Any], folder: Path) -> dict[str, str]:
    found = {}
    if isinstance(path := file.get("path"), str) and path and ":" not in path.partition("/")[0]:
        found["path"] = str(folder / path)
    location = file.get("location")
    if (
        isinstance(location, str)
        and location
        and not location.startswith(("/", "_:"))
        and not urlsplit(location).scheme
    ):
        found["location"] = f"{folder.as_uri()}/{location}"
    return found
