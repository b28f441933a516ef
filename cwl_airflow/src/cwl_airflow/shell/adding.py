"""Add a document to the DAGs of a site: what it is made of, in a folder of its own, and a DAG file beside it."""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..documents.about import describe_document
from ..documents.load import LoadedDocument, load_document
from ..documents.plan import AboutDocument
from ..files import write_atomically
from ..gate.places import RUNNER
from ..rest import PAUSE, DeadlineExceeded, NotFound, RestError, dag_path, seconds_of
from .host import Host
from .placing import make_folder, place_file
from .run import READING, make_absolute
from .staging import as_values, files_of_document, own_folder, own_gate

#: Names of documents that say nothing of what they are: their folder's does.
NAMELESS = ("main", "workflow")
#: Where a document is in the folder of its DAG.
DOCUMENT = "document"
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
    #: Paths of the local files and folders that it is made of.
    files: frozenset[str] = frozenset()


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
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}", name) or name in (RUNNER, "__pycache__"):
        raise NotAdded(
            f"'{name}' is no name of a DAG: give another one with --dag, of letters, digits, '-', '_' and '.'."
        )
    gate = own_gate(host.places, name)
    with as_values():
        loaded = load_document(source, gate, host.options)
        about = describe_document(loaded.process)
        files = frozenset() if "://" in source else frozenset(files_of_document(loaded, gate))
    return NewDocument(source, name, loaded, about, files)


@contextmanager
def written_dag(host: Host, document: NewDocument, replaces: bool) -> Iterator[Path]:
    """Copy a document with its files among the DAG files, and give the DAG file; if that fails all is as before.

    :param replaces: whether a folder of this name may be there, which is kept for a time among the inputs of `RUNNER`.
    :raises NotAdded: there is one, or a DAG of this name.
    :raises OSError: it cannot be written.
    """
    folder, file = host.places.dags / document.dag_id, Path(document.dag_id, "dag.py")
    with suppress(NotFound):
        known = host.client.get(dag_path(document.dag_id))
        if not replaces and not known.get("is_stale"):
            raise NotAdded(f"There is a DAG '{document.dag_id}': give --replace, or another name with --dag.")
        if known.get("relative_fileloc", str(file)) != str(file) and not known.get("is_stale"):
            raise NotAdded(
                f"The DAG '{document.dag_id}' is of {known['relative_fileloc']}: give another name with --dag."
            )
    if _has_files(folder) and not replaces:
        raise NotAdded(f"{folder} is there: give --replace, or another name with --dag.")
    aside = own_folder(host) / "replaced" / f"{document.dag_id}-{uuid.uuid4().hex[:8]}"
    new = aside.with_name(f"{aside.name}.new")
    make_folder(new)
    try:
        _write(document, new, host.min_free)
        if folder.exists():
            folder.rename(aside)
        new.rename(folder)
        yield folder / file.name
    except BaseException:
        for each in (new, *([folder] if not new.exists() else [])):
            shutil.rmtree(each, ignore_errors=True)
        if aside.exists() and not _has_files(folder):
            with suppress(OSError):
                if folder.exists():  # with what Airflow has compiled
                    folder.rename(new)
                aside.rename(folder)
        raise


def _write(document: NewDocument, folder: Path, least: float) -> None:
    workflow = repr(document.source)
    if "://" not in document.source:
        path, mark, name = document.source.partition("#")
        files = {path, *document.files}
        root = os.path.commonpath([os.path.dirname(each) for each in files])
        # In a folder of its own: a document may have a dag.py.
        for each in sorted(files):
            place_file(each, folder / DOCUMENT / os.path.relpath(each, root), least, link=False)
        workflow = f"str(Path(__file__).parent / {str(Path(DOCUMENT, os.path.relpath(path, root))) + mark + name!r})"
    file = folder / "dag.py"
    write_atomically(file, DAG_FILE.format(workflow=workflow, dag_id=document.dag_id))
    file.chmod(0o644)


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
        client.wait_for_dag(dag_id, path, deadline, written)
        while _last_read(host, dag_id) < written:  # one of this name was there
            if error := client.find_import_error(path, written):
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
    return seconds_of(host.client.get(f"{dag_path(dag_id)}/details")["last_parsed_time"])
