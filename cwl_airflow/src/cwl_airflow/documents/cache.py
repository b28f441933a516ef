"""What was made of documents, kept by the content of all files that it was made of.

Any number of processes may read and write: an entry is replaced as a whole, and one that cannot be read
or does not fit counts as missing. What is missing is made by one process, while the others wait for a time.

An entry is a line of JSON, ``{"texts": {URI: SHA-256}, "time": …}``, and then what was made.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
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
#: For how long to wait for another process that makes an entry, in seconds: less than Airflow gives a DAG file.
PATIENCE = 20.0


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
    path = entry_path(folder, key)
    stored, fresh = _read_entry(path, decode)
    if fresh:
        return stored[0]
    with alone(path):
        stored, fresh = _read_entry(path, decode)
        if fresh:  # another process made it meanwhile
            return stored[0]
        try:
            made, texts = make()
        except Exception:
            if stored:  # the network is away
                logging.getLogger(__name__).warning(
                    "Could not read %s again; what is stored is used", key, exc_info=True
                )
                return stored[0]
            raise
        store_entry(folder, key, made, texts, encode)
        return made


def _read_entry(path: Path, decode: Callable[[bytes], T]) -> tuple[list[T], bool]:
    """Return what an entry holds, if it can be used, and whether it is fresh."""
    try:
        head, _, entry = path.read_bytes().partition(b"\n")
        about = json.loads(head)
        if files_unchanged(about["texts"]):
            return [decode(entry)], not _is_stale(about)
    except Exception:  # missing, half of one, or of another version: a decoder raises what it likes
        logging.getLogger(__name__).debug("Not in the cache: %s", path, exc_info=True)
    return [], False


def store_entry(folder: Path, key: Any, made: T, texts: Mapping[str, str], encode: Callable[[T], bytes]) -> None:
    """Keep something; the parameters are those of `cached`."""
    head = json.dumps({"texts": dict(texts), "time": time.time()}).encode()
    write_atomically(entry_path(folder, key), head + b"\n" + encode(made))
    _remove_old_entries(folder)


@contextlib.contextmanager
def alone(path: Path, patience: float | None = None) -> Iterator[bool]:
    """Do something about an entry while no other process does.

    :param path: of the entry.
    :param patience: for how long to wait for another one, in seconds; `PATIENCE` by default. After that, both do it.
    :returns: whether no other process does.
    """
    lock = path.with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + (PATIENCE if patience is None else patience)
    while (number := _lock_file(lock)) is None and time.monotonic() < end:
        time.sleep(0.02)
    try:
        yield number is not None
    finally:
        if number is not None:
            lock.unlink(missing_ok=True)
            os.close(number)


def _lock_file(lock: Path) -> int | None:
    """Return the number of a file that is open and locked; none if another process has it."""
    try:
        number = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except PermissionError:  # another user's, such as one of root's command that was killed
        number = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.utime(number)  # an old one is removed as if nobody held it
    except BlockingIOError:
        os.close(number)
        return None
    except OSError:  # a file system without locks: each process does what it has to
        return number
    # Who had it before has removed it: another one may have made a new one.
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(number), os.stat(lock)):
            return number
    os.close(number)
    return None


def entry_path(folder: Path, key: Any) -> Path:
    """Return the path of an entry; the parameters are those of `cached`."""
    name = json.dumps([version("cwltool"), key], sort_keys=True, default=str)
    return folder / f"{hashlib.sha256(name.encode()).hexdigest()}.kept"


def text_digest(uri: str) -> str | None:
    """Return the SHA-256 of the text of a file; none if it cannot be read."""
    try:
        # As the fetcher reads it: text, with line ends made one.
        text = Path(unquote(urlsplit(uri).path)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def files_unchanged(texts: Mapping[str, str | None]) -> bool:
    """Tell whether files still have the texts that something was made of.

    :param texts: SHA-256 of their texts by URI; none for one that was not there.
    """
    return all(text_digest(uri) == digest for uri, digest in texts.items() if urlsplit(uri).scheme == "file")


def _is_stale(about: Mapping[str, Any]) -> bool:
    remote = any(urlsplit(uri).scheme != "file" for uri in about["texts"])
    return remote and not 0 <= time.time() - about["time"] < REMOTE_LIFETIME


def _remove_old_entries(folder: Path) -> None:
    for file in (*folder.glob("*.kept"), *folder.glob("*.lock")):
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > ENTRY_LIFETIME:
                file.unlink()
