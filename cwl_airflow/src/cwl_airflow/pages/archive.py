"""A folder as a ZIP archive that is sent while it is made, and takes no room on the disk or in memory."""

from __future__ import annotations

import io
import itertools
import time
import zipfile
from collections.abc import Iterable, Iterator
from typing import IO

from .outputs import LeftOut

#: Bytes that are read at a time.
CHUNK = 2**18
#: The file that says what is missing.
LEFT_OUT = "LEFT-OUT.txt"


class _Pipe(io.RawIOBase):
    """Takes what is written, until it is taken away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zip_stream(files: Iterable[tuple[str, IO[bytes]]], left_out: list[LeftOut]) -> Iterator[bytes]:
    """Return the parts of an archive of some files, and of one that says what is missing if something is.

    What scientific programs write is mostly compressed, so that nothing is compressed again.

    :param files: their names in the archive, and what is in them.
    :param left_out: what could not be given, when all files were.
    """
    pipe = _Pipe()
    moment = time.localtime()[:6]
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for name, stream in itertools.chain(files, _told(left_out, archive)):
            entry = zipfile.ZipInfo(archive_name(name), moment)
            with archive.open(entry, "w", force_zip64=True) as target:
                while data := stream.read(CHUNK):
                    target.write(data)
                    yield pipe.take()
            yield pipe.take()
    yield pipe.take()


def archive_name(name: str) -> str:
    """Return a name as text, which those of files may not be."""
    return name.encode(errors="replace").decode()


def _told(left_out: list[LeftOut], archive: zipfile.ZipFile) -> Iterator[tuple[str, IO[bytes]]]:
    if left_out:
        name = LEFT_OUT
        while name in archive.namelist():  # an output may be called so
            name = f"_{name}"
        lines = [f"{archive_name(each.path)}: {each.why}\n" for each in left_out]
        yield name, io.BytesIO("".join(["These could not be put into the archive:\n", *lines]).encode(errors="replace"))
