"""Keep the picture of a DAG's document where Airflow's pages find it: they know a DAG by its id alone."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ..files import write_atomically

#: Folder with the pictures, in that of what is kept of documents.
PICTURES = "pictures"


def picture_file(pickle: Path, dag_id: str) -> Path:
    """Return the file with the picture of a DAG, in Graphviz's language.

    :param pickle: the folder of what is kept of documents.
    """
    return pickle / PICTURES / f"{dag_id}.dot"


def keep_picture(pickle: Path, dag_id: str, graph: str) -> None:
    """Keep a picture, where another one or none is kept; a disk that is full is no reason to have no DAG."""
    file = picture_file(pickle, dag_id)
    with suppress(OSError):
        if not file.exists() or file.read_text(encoding="utf-8") != graph:
            write_atomically(file, graph)
