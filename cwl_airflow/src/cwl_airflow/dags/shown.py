"""Keep what Airflow's pages show of a DAG's document where they find it: they know a DAG by its id alone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..files import write_atomically

#: Folder with it, in that of what is kept of documents.
SHOWN = "shown"
#: The picture of a document, in Graphviz's language, and the path or URL of the document.
PICTURE, DOCUMENT = "dot", "document"


def shown_file(pickle: Path, dag_id: str, what: str) -> Path:
    """Return the file with `PICTURE` or `DOCUMENT` of a DAG.

    :param pickle: the folder of what is kept of documents.
    """
    return pickle / SHOWN / f"{dag_id}.{what}"


def keep_shown(pickle: Path, dag_id: str, texts: Mapping[str, str]) -> None:
    """Keep texts, by `PICTURE` and `DOCUMENT`, where others or none are kept; a full disk is no reason for no DAG."""
    for what, text in texts.items():
        file = shown_file(pickle, dag_id, what)
        with suppress(OSError):
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                write_atomically(file, text)
