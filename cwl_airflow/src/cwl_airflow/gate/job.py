"""A job as it was given: what can be said of it before anything that it names is read.

The same check answers who triggers a run and comes first in its first task. It follows no link of YAML or HTTP, so what
is in a file that a job includes is found only where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from .fetching import check_url
from .names import check_name
from .objects import FILES, READS, check_content, check_fields, is_list, is_remote, url_scheme
from .places import RUNS, Gate, is_within
from .refused import Refused

#: What a job may name as folders of its run.
FOLDERS = ("tmp_folder", "outputs_folder")
#: By these a job changes the document; their values may hold JavaScript.
CODE = ("overrides", "requirements")
#: Bytes of a job's file.
LARGEST = 16 * 2**20
#: How deep lists and mappings may be in each other, and how many values there may be when all aliases are followed.
DEEPEST, MOST = 100, 10**6


def check_job(job: Any, gate: Gate, base: str, code_allowed: bool) -> None:
    """Refuse a job that names what its run may not read or write, or that brings code.

    :param job: the job, or path or URL of its file.
    :param gate: of the run.
    :param base: folder to which relative paths refer.
    :param code_allowed: whether who gives the job may add documents: then it may bring code.
    :raises Refused: in one line, which input, which path, and what would allow it.
    :raises OSError: the job's file is not there, or not on this host.
    :raises ValueError: the job's file is not YAML.
    """
    if isinstance(job, str):
        path = _check_job_file(job, base, gate, "'job'")
        if path is None:
            return
        job, base = read_job(path, gate), os.path.dirname(path)
    if not isinstance(job, Mapping):
        return  # whoever takes it says what is wrong
    check_code(job, code_allowed)
    for name in FOLDERS:
        if job.get(name):
            check_folder(name, job[name], gate)
    for name, value in job.items():
        for path, of in _named_paths(value, str(name)):
            _check_job_file(path, base, gate, of)


def _check_job_file(path: str, base: str, gate: Gate, of: str) -> str | None:
    """Return the absolute path of what may be read, or nothing if it may be fetched."""
    try:
        if is_remote(path):
            check_url(path, gate.places.hosts, of)
            return None
        if "://" in path and url_scheme(path) not in ("", "file"):
            raise Refused(f"{of}: {path} cannot be fetched: give a path or a URL of http or https.")
        local = absolute_path(path, base)
        gate.read(local, of)
        return local
    except ValueError as error:
        raise Refused(f"{of}: {path!r} is neither a path nor a URL: {error}.") from error


def check_code(job: Mapping[str, Any], code_allowed: bool) -> None:
    """Refuse a job that changes the document, unless who gives it may add documents.

    :raises Refused: names what brings it.
    """
    for name in job:
        word = str(name).rpartition("#")[2].rpartition("/")[2].rpartition(":")[2].lower()
        if not code_allowed and word in CODE and word != str(name).lower():
            raise Refused(
                f"'{name}' in a job changes the document, which may run any command: only who may add documents "
                "(can create on CWL documents) may give it."
            )


def check_folder(name: str, folder: Any, gate: Gate) -> None:
    """Refuse a folder of the run's that may not be written; relative ones are below the site's.

    :raises Refused: names the folder and the setting.
    """
    site = gate.places.tmp if name == "tmp_folder" else gate.places.outputs
    if not isinstance(folder, str) or "\0" in folder:
        raise Refused(f"'{name}' must be the path of a folder.")
    path = os.path.join(site, folder)
    # The run's own folder is made below a tmp_folder, so that the site's is one too.
    if name == "tmp_folder" and os.path.realpath(path) == os.path.realpath(site):
        return
    real = gate.write(path, f"'{name}'", between_steps=name == "tmp_folder")
    if name == "tmp_folder" and not is_within(real, [os.path.realpath(site)]):
        gate.check_safe(path, f"'{name}'")
        # A dispatcher of the user's own reports the run's folder itself.
        if RUNS in Path(real).parts and not (gate.folder and real == os.path.realpath(gate.folder)):
            raise Refused(f"'{name}': {folder} is in the intermediate data of a run. Choose another folder.")


def read_job(path: str, gate: Gate) -> Any:
    """Return what is in the file of a job, with nothing included.

    :raises Refused: it may not be read, or is too large.
    """
    try:
        with gate.open(path, "'job'") as stream:
            text = stream.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"The job's file {path} is not there.") from error
    if len(text) > LARGEST:
        raise Refused(f"'job': {path} has more than {LARGEST // 2**20} MiB.")
    try:
        check_size(text, "'job'")
        return yaml.load(text, Loader=_LOADER)  # nosec B506  # a safe one
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"The job's file {path} is not YAML: {' '.join(str(error).split())}") from error


def check_size(text: bytes | str, of: str) -> None:
    """Refuse YAML that is nested too deep to be read, or grows when it is: a few lines may name a list a million times.

    :param of: what it is, for the message.
    :raises Refused: it is too large so.
    :raises yaml.YAMLError: it is no YAML.
    """
    sizes: dict[str | None, int] = {}
    inside: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, Loader=_LOADER):
        anchor, size = getattr(event, "anchor", None), 0
        if isinstance(event, yaml.CollectionStartEvent):
            inside.append((anchor, 1))
            anchor = None
        elif isinstance(event, yaml.AliasEvent):
            anchor, size = None, sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = inside.pop()
        if anchor:
            sizes[anchor] = size
        inside[-1] = (inside[-1][0], inside[-1][1] + size)
        if len(inside) > DEEPEST or inside[-1][1] > MOST:
            raise Refused(f"{of} is nested more than {DEEPEST} deep, or has more than {MOST} values.")


def absolute_path(path: str, base: str) -> str:
    """Return the absolute path of what a job names; a URI of a file is decoded."""
    parts = urlsplit(path)
    if parts.scheme.lower() == "file":
        path = unquote(parts.path)
    return os.path.join(base, path)


def _named_paths(value: Any, of: str) -> Iterator[tuple[str, str]]:
    """Find what a job's value names: paths and URLs, with the input for the message.

    :raises Refused: a file of it has a name that is none.
    """
    of = f"Input '{of}'"
    waiting, seen = [value], set()
    while waiting:
        each = waiting.pop()
        # A few lines of YAML name the same list a million times.
        if not isinstance(each, str) and id(each) in seen:
            continue
        seen.add(id(each))
        if is_list(each):
            waiting += each
        if not isinstance(each, Mapping):
            continue
        waiting += each.values()
        if each.get("class") in FILES:
            check_fields({name: field for name, field in each.items() if field not in NULL}, of)
            if MERGE not in each:
                check_content(each, of)
            if each.get("basename") is not None:
                check_name(each["basename"], of)
        for key in (*(("location", "path") if each.get("class") in FILES else ()), *READS):
            named = each.get(key)
            if isinstance(named, str) and not named.startswith("_:"):
                named = named.partition("#")[0] if key in READS else named
                if each.get("class") == "Directory" and is_remote(named):
                    raise Refused(f"{of}: {named} is to be a Directory, which cannot be fetched: fetch its files.")
                yield from ((each, of) for each in {named, unquote(named)})


#: As which a file may have what is left out; a mapping may be merged with others, which is seen only later.
NULL = (None, "", "~", "null", "Null", "NULL")
MERGE = "<<"
# Scalars stay text, and what is not plain YAML is an error: nothing is made of a job but mappings, lists and text.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
