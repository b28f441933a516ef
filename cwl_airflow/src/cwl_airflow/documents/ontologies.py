"""The ontologies that documents name as ``$schemas``: fetched once and kept, also that one could not be had.

cwltool asks them whether the format of a file is a kind of the one that an input takes, and nothing else. schema-salad
would fetch them anew for each file of a document, with no limit of time, and in each task.

This module loads quickly, as `plan` does. An entry is a line of JSON that says how it went the last time, and what the
ontology said when it could be had.
"""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..files import write_atomically
from ..gate import Gate
from . import cache

if TYPE_CHECKING:
    from .formats import Term

#: How long fetching all ontologies of a document may take, in seconds: less than Airflow gives a DAG file.
TIMEOUT = 10.0
#: After how many seconds one is fetched again that could not be had, and one that could.
RETRY, RENEW = 3600, 7 * 86400
#: Which form the entries have: another one is not read.
ONTOLOGY_FORMAT = 1


@dataclass(frozen=True)
class _State:
    """How it went the last time: when, in seconds since 1970, and why it could not be had, if it could not."""

    asked: float
    failed: str = ""
    #: SHA-256 of its text, if it is a file; none if that is not there.
    texts: dict[str, str | None] = field(default_factory=dict)

    @property
    def is_due(self) -> bool:
        """Whether it is time to ask for it again."""
        if self.texts:
            return not cache.files_unchanged(self.texts)
        return not 0 <= time.time() - self.asked < (RETRY if self.failed else RENEW)


def refresh_ontologies(uris: Iterable[str], gate: Gate, folder: Path) -> None:
    """Fetch the ontologies that are not kept, and those of the network for which it is time again. Not for tasks.

    :param gate: says from which files and hosts.
    :param folder: where they are kept.
    """
    _renew(uris, gate, folder, lambda state: state is None or (not state.texts and state.is_due))


def known_terms(uris: Iterable[str], gate: Gate, folder: Path | None) -> list[Term]:
    """Return what some ontologies say of formats. What is not kept at all is fetched, and files are read again.

    :param gate: says from which files and hosts.
    :param folder: where they are kept; none if they are not.
    """
    uris = list(uris)
    if folder is None:
        return [term for uri, state, terms in _fetch(uris, gate) for term in terms]
    _renew(uris, gate, folder, lambda state: state is None or bool(state.texts and state.is_due))
    terms: list[Term] = []
    for uri in uris:
        state = _state(uri, gate, folder)
        if state is None or state.failed:
            why = state.failed if state else "another process still fetches it"
            logging.getLogger(__name__).warning("Formats are compared without %s: %s", uri, why)
        terms += _kept_terms(uri, gate, folder)
    return terms


def _renew(uris: Iterable[str], gate: Gate, folder: Path, is_wanted: Callable[[_State | None], bool]) -> None:
    """Fetch some ontologies, each in one process at a time, and keep what comes of it."""
    wanted = [uri for uri in sorted(set(uris)) if is_wanted(_state(uri, gate, folder))]
    end = time.monotonic() + cache.PATIENCE

    def patience(path: Path) -> float:
        # One that is kept can wait for the next time.
        return 0 if path.exists() else max(0.0, end - time.monotonic())

    try:
        with ExitStack() as stack:
            paths = {uri: _path(uri, gate, folder) for uri in wanted}
            ours = [uri for uri, path in paths.items() if stack.enter_context(cache.alone(path, patience(path)))]
            # Another process may have been faster.
            for uri, state, terms in _fetch([uri for uri in ours if is_wanted(_state(uri, gate, folder))], gate):
                kept = _kept_terms(uri, gate, folder) if state.failed else terms
                write_atomically(paths[uri], f"{json.dumps(asdict(state))}\n{json.dumps(kept)}")
    except OSError:  # a full disk holds up no document
        logging.getLogger(__name__).warning("The ontologies of a document could not be kept", exc_info=True)


def _fetch(uris: Collection[str], gate: Gate) -> Iterator[tuple[str, _State, list[Term]]]:
    """Fetch ontologies, all at once, and return of each how it went and what it says of formats."""
    if not uris:
        return
    from ..gate.fetching import in_background
    from ..gate.hooks import make_fetcher
    from .formats import read_terms

    end, asked = time.monotonic() + TIMEOUT, time.time()
    texts: dict[str, str] = {}
    fetcher = make_fetcher(gate, documents=True, texts=texts)({}, None)

    def fetch(uri: str) -> list[Term]:
        return read_terms(fetcher.fetch_text(uri), uri)

    fetched = {uri: in_background(functools.partial(fetch, uri)) for uri in uris}
    for uri, found in fetched.items():
        failed, terms = "", []
        try:
            terms = found.result(max(0.0, end - time.monotonic()))
        except TimeoutError:
            failed = f"it could not be fetched and read within {TIMEOUT:.0f} s"
        except Exception as error:  # whatever is wrong with it, the document can be run
            failed = " ".join(str(error).split()) or type(error).__name__
        if failed:
            logging.getLogger(__name__).warning("Could not load extension schema %s: %s", uri, failed)
        yield uri, _State(asked, failed, _digests(uri, texts)), terms


def _digests(uri: str, texts: Mapping[str, str]) -> dict[str, str | None]:
    """Return by what to see whether a file has changed: nothing for one that may not be read, such as a device."""
    parts = urlsplit(uri)
    if parts.scheme == "file" and (uri in texts or not Path(unquote(parts.path)).exists()):
        return {uri: texts.get(uri)}
    return {}


def _path(uri: str, gate: Gate, folder: Path) -> Path:
    # What may not be fetched may be when a setting has changed.
    return cache.entry_path(folder, ["ontology", ONTOLOGY_FORMAT, uri, gate.places])


def _state(uri: str, gate: Gate, folder: Path) -> _State | None:
    try:
        with _path(uri, gate, folder).open(encoding="utf-8") as entry:
            return _State(**json.loads(entry.readline()))
    except (OSError, ValueError, TypeError):
        return None


def _kept_terms(uri: str, gate: Gate, folder: Path) -> list[Term]:
    try:
        text = _path(uri, gate, folder).read_text(encoding="utf-8").partition("\n")[2]
        return [(each[0], each[1], each[2]) for each in json.loads(text)]
    except (OSError, ValueError, TypeError, IndexError):
        return []
