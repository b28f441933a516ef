"""What the CWL API is sent for a test: its document and its job, with the files that both refer to.

All go into one folder, where they lie to each other as in the suite.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from schema_salad.utils import yaml_no_ts

from ..gate.objects import FILES
from .suite import SuiteTest

#: The folder of all files. Its name keeps a colon in theirs from being taken for the end of a scheme.
FOLDER = "suite"
#: By these a document refers to other documents, and to files of any kind.
DOCUMENTS, INCLUDED = ("$import", "$mixin", "run"), ("$include", "$schemas")


@dataclass(frozen=True)
class SuiteRequest:
    """A test as the CWL API takes it."""

    #: The document's name among the files, perhaps with ``#process``.
    document: str
    #: By their names, which are relative paths.
    files: Mapping[str, Path]
    job: Mapping[str, Any]


def make_request(test: SuiteTest) -> SuiteRequest:
    """Return what the CWL API is sent for a test.

    :raises OSError: its document or its job cannot be read.
    :raises ValueError: its job is no object.
    """
    needed = _NeededFiles()
    needed.add_document(test.document, must_be_there=True)
    job: Any = {}
    if test.job:
        job = _load(test.job.read_text(encoding="utf-8"))
        if not isinstance(job, Mapping):
            raise ValueError(f"{test.job} is no object")
        needed.add_content(job, test.job.parent)
    names = _name_files(needed.files)
    document = names[test.document]
    return SuiteRequest(
        document=f"{document}#{test.process}" if test.process else document,
        files={names[path]: path for path in needed.files},
        job=_placed(job, test.job.parent, names) if test.job else {},
    )


def _load(text: str) -> Any:
    return yaml_no_ts().load(text)


@dataclass
class _NeededFiles:
    """Files that are there, and that a document or a job refers to."""

    files: set[Path] = field(default_factory=set)

    def add_document(self, path: Path, must_be_there: bool = False) -> None:
        """Add a document, and what it refers to.

        :raises OSError: it cannot be read, and must be there.
        """
        path = _normal(path)
        if path in self.files or not (must_be_there or path.is_file()):
            return
        text = path.read_bytes()
        self.files.add(path)
        try:
            content = _load(text.decode())
        except Exception:  # what reads it on the host says what is wrong with it
            return
        self.add_content(content, path.parent)

    def add_content(self, content: Any, folder: Path) -> None:
        """Add what a part of a document or a job refers to.

        :param folder: where its relative paths begin.
        """
        for each in _mappings(content):
            if each.get("class") in FILES and (path := _referred(each, folder)):
                self._add_input(path)
            for key in (*DOCUMENTS, *INCLUDED):
                for name in _texts(each.get(key)):
                    path = _find(name.partition("#")[0], folder) if name.partition("#")[0] else None
                    if path and key in DOCUMENTS:
                        self.add_document(path)
                    elif path and path.is_file():
                        self.files.add(path)

    def _add_input(self, path: Path) -> None:
        """Add an input, and what may belong to it: documents name such files by patterns."""
        stem = path.name.partition(".")[0]
        beside = [each for each in path.parent.iterdir() if stem and each.name.startswith(stem)]
        for each in {path, *beside}:
            self.files.update(file for file in (each.rglob("*") if each.is_dir() else [each]) if file.is_file())


def _mappings(content: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [content]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            yield each
            waiting += each.values()
        elif isinstance(each, Sequence) and not isinstance(each, str):
            waiting += each


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [each for each in values if isinstance(each, str)]


def _normal(path: Path) -> Path:
    return Path(posixpath.normpath(path.absolute()))


def _referred(file: Mapping[str, Any], folder: Path) -> Path | None:
    """Return the local file or folder that a value of CWL refers to, if it is there."""
    given = file.get("location") or file.get("path")
    return _find(given, folder) if isinstance(given, str) else None


def _find(reference: str, folder: Path) -> Path | None:
    """Return what a reference leads to, if it is there: a path is taken as it is, or as a part of a URI."""
    scheme = urlsplit(reference).scheme
    if scheme in ("http", "https"):
        return None
    texts = [urlsplit(reference).path] if scheme == "file" else [reference]
    found = (_normal(folder / text) for text in (*texts, *map(unquote, texts)))
    return next((path for path in found if path.exists()), None)


def _name_files(files: set[Path]) -> dict[Path, str]:
    """Return what files are called in the request, and the folders that they are in."""
    root = Path(posixpath.commonpath([path.parent for path in files]))
    names = {path: posixpath.normpath(posixpath.join(FOLDER, path.relative_to(root))) for path in files}
    for path in files:
        for folder in path.parents:
            if folder.is_relative_to(root):
                names[folder] = posixpath.normpath(posixpath.join(FOLDER, folder.relative_to(root)))
    return names


def _placed(value: Any, folder: Path, names: Mapping[Path, str]) -> Any:
    """Return a job whose files are where the request has them; what is not there stays as it is."""
    if isinstance(value, Mapping):
        made = {str(name): _placed(each, folder, names) for name, each in value.items()}
        if made.get("class") in FILES and (name := names.get(_referred(value, folder) or folder / "/")):
            made.pop("path", None)
            made["location"] = quote(name)
        return made
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_placed(each, folder, names) for each in value]
    return value
