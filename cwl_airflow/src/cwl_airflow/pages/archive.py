"""A folder as a ZIP archive that is sent while it is made, and takes no room on the disk or in memory."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterable, Iterator
from typing import IO

#: Bytes that are read at a time.
CHUNK = 2**18


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


def zip_stream(files: Iterable[tuple[str, IO[bytes]]]) -> Iterator[bytes]:
    """Return the parts of an archive of some files.

    What scientific programs write is mostly compressed, so that nothing is compressed again.

    :param files: their names in the archive, and what is in them.
    """
    pipe = _Pipe()
    moment = time.localtime()[:6]
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for name, stream in files:
            entry = zipfile.ZipInfo(name.encode(errors="replace").decode(), moment)
            with archive.open(entry, "w", force_zip64=True) as target:
                while data := stream.read(CHUNK):
                    target.write(data)
                    yield pipe.take()
            yield pipe.take()
    yield pipe.take()
