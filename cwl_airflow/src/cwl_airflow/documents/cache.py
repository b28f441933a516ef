"""What was made of documents, kept by the content of all files that it was made of.

Any number of processes may read and write: an entry is replaced as a whole, and one that cannot be read
or does not fit counts as missing.

An entry is a line of JSON, ``{"texts": {URI: SHA-256}, "time": …}``, and then what was made.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from ..files import write_atomically

T = TypeVar("T")

#: How long a document from the network counts as unchanged, in seconds.
REMOTE_LIFETIME = 3600
#: After how many seconds an entry is removed; what is still in use is then made again.
ENTRY_LIFETIME = 30 * 86400


def cached(
    folder: Path,
    key: Any,
    make: Callable[[], tuple[T, Mapping[str, str]]],
    encode: Callable[[T], bytes],
    decode: Callable[[bytes], T],
) -> T:
    """Return something from the cache, or make it and keep it.

    :param folder: where the entries are.
    :param key: what it depends on beside the texts: anything that JSON can hold.
    :param make: returns it with the checksums of the texts that it was made of.
    :param encode: turns it into what is kept.
    :param decode: turns that back; may raise anything.
    """
    stored: list[T] = []
    try:
        head, _, entry = _entry_path(folder, key).read_bytes().partition(b"\n")
        about = json.loads(head)
        if _files_unchanged(about["texts"]):
            stored = [decode(entry)]
            if not _is_stale(about):
                return stored[0]
    except Exception:  # missing, half of one, or of another version: a decoder raises what it likes
        logging.getLogger(__name__).debug("Not in the cache: %s", key, exc_info=True)
    try:
        made, texts = make()
    except Exception:
        if stored:  # the network is away
            logging.getLogger(__name__).warning("Could not read %s again; what is stored is used", key, exc_info=True)
            return stored[0]
        raise
    store_entry(folder, key, made, texts, encode)
    return made


def store_entry(folder: Path, key: Any, made: T, texts: Mapping[str, str], encode: Callable[[T], bytes]) -> None:
    """Keep something; the parameters are those of `cached`."""
    head = json.dumps({"texts": dict(texts), "time": time.time()}).encode()
    write_atomically(_entry_path(folder, key), head + b"\n" + encode(made))
    _remove_old_entries(folder)


def _entry_path(folder: Path, key: Any) -> Path:
    name = json.dumps([version("cwltool"), key], sort_keys=True, default=str)
    return folder / f"{hashlib.sha256(name.encode()).hexdigest()}.kept"


def _text_digest(uri: str) -> str | None:
    try:
        # As the fetcher reads it: text, with line ends made one.
        text = Path(unquote(urlsplit(uri).path)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def _files_unchanged(texts: Mapping[str, str]) -> bool:
    return all(_text_digest(uri) == digest for uri, digest in texts.items() if urlsplit(uri).scheme == "file")


def _is_stale(about: Mapping[str, Any]) -> bool:
    remote = any(urlsplit(uri).scheme != "file" for uri in about["texts"])
    return remote and not 0 <= time.time() - about["time"] < REMOTE_LIFETIME


def _remove_old_entries(folder: Path) -> None:
    for file in folder.glob("*.kept"):
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > ENTRY_LIFETIME:
                file.unlink()
