"""Add a document to the DAGs of a site: what it is made of, in a folder of its own, and a DAG file beside it."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ..documents.about import describe_document
from ..documents.load import LoadedDocument, load_document
from ..documents.plan import AboutDocument
from ..files import write_atomically
from ..gate import DataPath
from ..rest import PAUSE, DeadlineExceeded, NotFound, RestError, dag_path
from .host import Host
from .placing import make_folder, place_file
from .run import READING, make_absolute
from .staging import as_values, files_of_document

#: Names of documents that say nothing of what they are: their folder's does.
NAMELESS = ("main", "workflow")
DAG_FILE = """\
from pathlib import Path

from cwl_airflow.extensions.cwldag import CWLDAG

dag = CWLDAG(workflow={workflow}, dag_id={dag_id!r})
"""


class NotAdded(Exception):
    """A document was not added; the message says why."""


@dataclass(frozen=True)
class NewDocument:
    """A document that was read and found right."""

    #: Path or URL, perhaps with ``#name``.
    source: str
    dag_id: str
    loaded: LoadedDocument
    about: AboutDocument


def find_document(source: str) -> str:
    """Return path or URL of a document, or of the only one of a folder that no other one there runs.

    :raises NotAdded: there is none, or several.
    """
    source = make_absolute(source)
    if "://" in source or not os.path.isdir(source):
        return source
    found = sorted(Path(source).glob("*.cwl"))
    texts = {file: file.read_text(encoding="utf-8", errors="replace") for file in found}
    mains = [file for file in found if not any(file.name in text for other, text in texts.items() if other != file)]
    if len(mains) != 1:
        names = ", ".join(file.name for file in mains or found) or "none"
        raise NotAdded(f"{source} must have one document that no other runs, and has {names}: give its path.")
    return str(mains[0])


def read_document(host: Host, source: str, dag_id: str | None) -> NewDocument:
    """Read a document, with the rights of who runs this, and check it.

    :param dag_id: name of its DAG; none for that of the document.
    :raises NotAdded: the name is none.
    :raises ValueError: what is wrong with the document, and where.
    """
    path = Path(source.partition("#")[0].rstrip("/"))
    name = dag_id or (path.parent.name if path.stem.lower() in NAMELESS else path.stem)
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", name) or not name.strip("."):
        raise NotAdded(f"'{name}' is no name of a DAG: give --dag with letters, digits, '-', '_' and '.'.")
    everything = replace(host.places, data=(*host.places.data, DataPath(Path("/"))))
    with as_values():
        loaded = load_document(source, everything.gate(name), host.options)
        about = describe_document(loaded.process)
    return NewDocument(source, name, loaded, about)


def write_dag(host: Host, document: NewDocument, replaces: bool) -> Path:
    """Copy a document with its files among the DAG files, and return the folder.

    :param replaces: whether a folder of this name may be there, which goes.
    :raises NotAdded: there is one, or a DAG of this name.
    :raises OSError: it cannot be written.
    """
    folder = host.places.dags / document.dag_id
    with suppress(NotFound):
        host.client.get(dag_path(document.dag_id))
        if not replaces:
            raise NotAdded(f"There is a DAG '{document.dag_id}': give --replace, or another name with --dag.")
    if _has_files(folder) and not replaces:
        raise NotAdded(f"{folder} is there: give --replace, or another name with --dag.")
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    workflow = repr(document.source)
    if "://" not in document.source:
        path, mark, name = document.source.partition("#")
        files = {path, *files_of_document(document.loaded)}
        root = os.path.commonpath([os.path.dirname(each) for each in files])
        for each in sorted(files):
            place_file(each, folder / os.path.relpath(each, root), link=False)
        workflow = f"str(Path(__file__).parent / {os.path.relpath(path, root) + mark + name!r})"
    file = folder / "dag.py"
    write_atomically(file, DAG_FILE.format(workflow=workflow, dag_id=document.dag_id))
    file.chmod(0o644)
    return folder


def _has_files(folder: Path) -> bool:
    """Tell whether there is more in a folder than what Airflow has compiled, which is Airflow's to remove."""
    return folder.exists() and any(each.name != "__pycache__" for each in folder.iterdir())


def wait_for_tasks(host: Host, dag_id: str, file: Path) -> Sequence[dict[str, Any]]:
    """Return the tasks of a DAG, once Airflow has read its file.

    :raises NotAdded: Airflow could not read it; the message says why.
    """
    client, path = host.client, str(file.relative_to(host.places.dags))
    deadline, written = time.monotonic() + READING, file.stat().st_mtime
    try:
        client.wait_for_dag(dag_id, path, deadline)
        while _last_read(host, dag_id) < written:  # one of this name was there
            if error := client.find_import_error(path):
                raise NotAdded(error)
            if time.monotonic() > deadline:
                raise NotAdded(f"Airflow did not read {path} in time.")
            time.sleep(PAUSE)
        tasks: list[dict[str, Any]] = client.get(f"{dag_path(dag_id)}/tasks")["tasks"]
    except (RestError, DeadlineExceeded) as error:
        raise NotAdded(str(error)) from error
    return tasks


def _last_read(host: Host, dag_id: str) -> float:
    """Return when Airflow has read a DAG's file last."""
    parsed = host.client.get(f"{dag_path(dag_id)}/details")["last_parsed_time"]
    return datetime.fromisoformat(parsed.replace("Z", "+00:00")).timestamp() if parsed else 0


@contextmanager
def removed_if_not_added(folder: Path) -> Iterator[None]:
    """Remove a folder again that Airflow could not read."""
    try:
        yield
    except NotAdded:
        shutil.rmtree(folder, ignore_errors=True)
        raise
