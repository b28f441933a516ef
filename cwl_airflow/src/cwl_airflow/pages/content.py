"""How a browser is given a file of which nobody knows who made it."""

from __future__ import annotations

import mimetypes
import os
from pathlib import PurePath
from typing import IO, Any
from urllib.parse import quote

from starlette.responses import FileResponse

#: What a browser shows by itself, by the type of the file.
SHOWN = {
    **dict.fromkeys(("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"), "image"),
    "text/html": "html",
    "application/pdf": "pdf",
    "text/csv": "table",
    "text/tab-separated-values": "table",
}
#: Without these the names of files would say nothing in some Debian.
TYPES = {".csv": "text/csv", ".tsv": "text/tab-separated-values", ".webp": "image/webp"}
#: Bytes by which text is told from other data.
HEAD = 4096
#: A report is a page of its own: its scripts run, and reach neither the rest of the site nor any other. Nothing else
#: that a file may be has a reason to run anything.
SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "style-src 'unsafe-inline' data: blob:; img-src data: blob:; font-src data: blob:; media-src data: blob:; "
    "connect-src data: blob:; form-action 'none'; frame-ancestors 'self'"
)
NOTHING = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"


def media_type(name: str) -> str:
    """Return the type of a file by its name; nothing if that does not say."""
    extension = PurePath(name.lower()).suffix
    kind, encoding = mimetypes.guess_type(f"a{extension}")
    return "" if encoding else TYPES.get(extension) or kind or ""


def show_as(name: str) -> str:
    """Return how the page shows a file: as ``image``, ``html``, ``pdf``, ``table`` or else as ``text``."""
    return SHOWN.get(media_type(name), "text")


def is_text(head: bytes) -> bool:
    """Tell whether a file that begins so is text."""
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character that goes on after them
    return True


class StreamResponse(FileResponse):
    """A file that is open: no other one can take its place. It closes with this."""

    def __init__(self, stream: IO[bytes], **more: Any) -> None:
        """Take it."""
        self._stream = stream
        number = stream.fileno()
        super().__init__(f"/proc/self/fd/{number}", stat_result=os.fstat(number), **more)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it (ASGI), and close the file, also if nobody takes all of it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stream.close()


def attachment(name: str) -> str:
    """Return the header by which a browser keeps what it gets, in a file of this name (RFC 6266)."""
    return f"attachment; filename*=utf-8''{quote(name, errors='replace')}"


def download(stream: IO[bytes], name: str) -> StreamResponse:
    """Return a file to be kept."""
    return _respond(stream, "application/octet-stream", name, "attachment", NOTHING)


def view(stream: IO[bytes], name: str) -> StreamResponse | None:
    """Return a file to be looked at; none if a browser cannot show it."""
    shown = show_as(name)
    if shown in ("image", "html", "pdf"):
        # A viewer of PDF does not open in a sandbox, and what is in a PDF does not get out of it.
        policy = {"html": SANDBOX, "pdf": "frame-ancestors 'self'"}.get(shown, NOTHING)
        return _respond(stream, media_type(name), name, "inline", policy)
    text = is_text(stream.read(HEAD))
    stream.seek(0)
    return _respond(stream, "text/plain; charset=utf-8", name, "inline", NOTHING) if text else None


def _respond(stream: IO[bytes], kind: str, name: str, disposition: str, policy: str) -> StreamResponse:
    return StreamResponse(
        stream,
        media_type=kind,
        filename=name.encode(errors="replace").decode(),
        content_disposition_type=disposition,
        headers={
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "private, no-cache",
            # Airflow's server would compress it as it goes, and nobody could say how much there is to come.
            "Content-Encoding": "identity",
            "Referrer-Policy": "no-referrer",
        },
    )
