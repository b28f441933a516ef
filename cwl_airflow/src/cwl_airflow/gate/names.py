"""What files and folders of a run may be called.

Source: https://www.commonwl.org/v1.2/CommandLineTool.html#File (``basename`` has no slash)
"""

from __future__ import annotations

from typing import Any

from .refused import Refused

#: Bytes; Linux takes no more.
LONGEST = 255


def check_name(name: Any, of: str) -> None:
    """Refuse a name with which a file would be elsewhere than where it belongs.

    :param name: what the file is to be called.
    :param of: whose name it is, for the message: ``Input 'reads'``.
    :raises Refused: it is no name of a file in a folder.
    """
    if not isinstance(name, str):
        wrong = "is no text"
    elif name in ("", ".", ".."):
        wrong = "is not the name of a file"
    elif "/" in name:
        wrong = "has a '/'"
    elif "\0" in name:
        wrong = "has a NUL"
    elif len(name.encode("utf-8", "surrogatepass")) > LONGEST:
        wrong = f"has more than {LONGEST} bytes"
    else:
        return
    raise Refused(f"{of}: the name {shown_name(name)} {wrong}: give the name of a file without a folder.")


def check_relative(path: Any, of: str) -> None:
    """Refuse a relative path that leaves its folder.

    :raises Refused: it is absolute, goes up, or is no path.
    """
    if not isinstance(path, str) or not path or path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise Refused(f"{of}: {shown_name(path)} must be a path below the output folder, without '..'.")


def shown_name(name: Any) -> str:
    """Return something as it is said in a message, without its middle if it is long."""
    text = repr(name)
    return text if len(text) <= 120 else f"{text[:100]}…{text[-10:]}"
