"""What a tool or an expression left behind: files of the run, or inputs that it passes on."""

from __future__ import annotations

import itertools
import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .objects import check_names, find_files, is_remote, local_path
from .places import Gate, check_kind, entries_below, is_within
from .refused import Refused, in_one_line

#: Goes into the log of the task.
_logger = logging.getLogger("cwltool")
#: So many files of an output are named that lose setuid and setgid.
NAMED = 20


def check_outputs(outputs: Any, gate: Gate, outdir: str, inputs: Iterable[str]) -> None:
    """Refuse outputs of a tool that are not in its output folder, and take setuid and setgid from files.

    :param outputs: values by name.
    :param gate: of the run.
    :param outdir: the output folder.
    :param inputs: what the tool got, and may pass on.
    :raises Refused: names the output, and what is wrong with it.
    """
    own, roots = [os.path.realpath(outdir)], [os.path.realpath(root) for root in (outdir, *inputs)]
    of_the_run = [os.path.realpath(gate.folder)] if gate.folder else []
    for of, path in _local_files(outputs):
        real = check_path(path, roots, of)
        if is_within(real, own):
            check_tree(real, roots, of)
        elif os.path.isdir(real):
            gate.read_tree(real, of, again=True)
        if is_within(real, of_the_run) and not is_within(real, own):  # updated in place
            strip_tree(real, of)


def check_values(outputs: Any, gate: Gate) -> None:
    """Refuse what an expression made of files that the run may not read.

    :param outputs: values by name.
    :raises Refused: names the output, and what is wrong with it.
    """
    for of, path in _local_files(outputs):
        gate.read(path, of)


def check_path(path: str, roots: Iterable[str], of: str) -> str:
    """Return the real path of a file or folder that is in some folders.

    :param path: absolute.
    :param roots: real paths.
    :param of: what names it, for the message.
    :raises Refused: it leads out of them, or is neither a file nor a folder.
    """
    real = os.path.realpath(path)
    if not is_within(real, roots):
        raise Refused(f"{of}: {path} leads out of the output folder and is no input.")
    check_kind(real, f"{of}: {path}")
    return real


def strip_tree(real: str, of: str) -> None:
    """Take setuid and setgid from a file, or from the files of a folder; the log names them.

    :raises Refused: one belongs to somebody else.
    """
    paths = itertools.chain([real], (entry.path for entry in entries_below(real)))
    _strip_files(of, (path for path in paths if os.path.isfile(path) and not os.path.islink(path)))


def check_tree(real: str, roots: Iterable[str], of: str) -> None:
    """Refuse an output with a link in it that leads out of some folders, or with what is no file.

    Files lose setuid and setgid; the log names them.

    :param real: the output's real path.
    :param roots: real paths.
    :raises Refused: names what leads out.
    """
    _strip_files(of, _checked_files(real, list(roots), of))


def _checked_files(real: str, roots: list[str], of: str) -> Iterator[str]:
    if not os.path.isdir(real):
        yield real
    for entry in entries_below(real):
        if entry.is_symlink():
            if is_within(os.path.dirname(entry.path), [check_path(entry.path, roots, of)]):
                raise Refused(f"{of}: the link {entry.path} leads back into its own folder.")
        elif entry.is_file(follow_symlinks=False):
            yield entry.path
        elif not entry.is_dir(follow_symlinks=False):
            raise Refused(f"{of}: {entry.path} is neither a file nor a folder.")


def _local_files(outputs: Any) -> Iterable[tuple[str, str]]:
    """Check the names of outputs, and return the paths of those that are local, each with its output."""
    found = []
    for name, value in outputs.items() if isinstance(outputs, Mapping) else ():
        of = f"Output '{name}'"
        check_names(value, of)
        for file in find_files(value):
            location = file.get("location") or file.get("path")
            if location is None or location.startswith("_:") or is_remote(location):
                continue
            path = local_path(file)
            if path is None or "\0" in path:
                raise Refused(f"{of}: {location!r} is no file of the run.")
            found.append((of, path))
    return found


def _strip_files(of: str, paths: Iterable[str]) -> None:
    stripped = [path for path in paths if _strip_special_bits(path, of)]
    for path in stripped[:NAMED]:
        _logger.warning("%s", in_one_line(f"{of}: setuid and setgid are taken from {path}"))
    if more := stripped[NAMED:]:
        _logger.warning("%s: setuid and setgid are taken from %d files more", of, len(more))


def _strip_special_bits(path: str, of: str) -> bool:
    """Tell whether a file had some."""
    mode = os.lstat(path).st_mode
    if not mode & (stat.S_ISUID | stat.S_ISGID):
        return False
    try:
        os.chmod(path, stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_ISGID))
    except OSError as error:
        raise Refused(f"{of}: {path} is setuid or setgid, and belongs to somebody else.") from error
    return True
