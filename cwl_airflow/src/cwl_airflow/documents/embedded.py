"""Documents that are given as text in place of a path: base64 of the text compressed by gzip or zlib."""

from __future__ import annotations

import base64
import zlib

#: Bytes of a document's text at most. A kilobyte may hold a megabyte, so that it is counted while it is unpacked.
LARGEST_TEXT = 16 * 2**20


def embedded_text(workflow: str) -> str | None:
    """Return the text of a document that is given as compressed text; none if it is not given so.

    :raises ValueError: the text has more than `LARGEST_TEXT` bytes, or is not UTF-8.
    """
    try:
        packed = base64.b64decode(workflow, validate=True)
    except ValueError:
        return None
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        text = unpacker.decompress(packed, LARGEST_TEXT + 1)
    except zlib.error:
        return None
    if len(text) > LARGEST_TEXT:
        raise ValueError(f"The compressed document has more than {LARGEST_TEXT // 2**20} MiB.")
    if not unpacker.eof:
        return None
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("The compressed document is not UTF-8.") from error
