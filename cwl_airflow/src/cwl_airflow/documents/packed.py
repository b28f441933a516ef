"""A document with all that it refers to in one file, kept for the runs of it: its own files may change after them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ..files import write_atomically

#: Folder with packed documents, in that of what is kept of documents.
PACKED = "packed"


def packed_file(folder: Path, digest: str) -> Path:
    """Return the file with a packed document.

    :param folder: what is kept of documents.
    :param digest: what `keep_packed` returned.
    """
    return folder / PACKED / f"{digest}.json"


def keep_packed(folder: Path, text: str) -> str:
    """Keep a packed document, and return its SHA-256, by which it is found.

    :param folder: what is kept of documents.
    :param text: the document, in JSON.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    write_atomically(packed_file(folder, digest), text)
    return digest


def read_packed(folder: Path, digest: str) -> Any:
    """Return a packed document; none if it is not there.

    :param folder: what is kept of documents.
    :param digest: what `keep_packed` returned.
    """
    try:
        return json.loads(packed_file(folder, digest).read_text(encoding="utf-8")) if digest else None
    except (OSError, ValueError):
        return None
