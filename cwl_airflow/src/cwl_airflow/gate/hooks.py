"""Where cwltool and schema-salad open files, look into folders, name files and fetch: all of it through the gate."""

from __future__ import annotations

import functools
import glob
import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import rdflib.exceptions
import rdflib.parser
import rdflib.plugin
import requests
import yaml
from cwltool.context import RuntimeContext
from cwltool.job import JobBase
from cwltool.pathmapper import MapperEnt, PathMapper
from cwltool.stdfsaccess import StdFsAccess
from schema_salad.exceptions import ValidationException
from schema_salad.fetcher import DefaultFetcher

from . import fetching
from .job import check_size
from .names import check_name, check_relative
from .objects import is_remote
from .outputs import check_outputs, check_path, check_values
from .places import Gate, is_within, open_regular
from .refused import Refused


class NoJsonLd(rdflib.parser.Parser):
    """Reads none: what it names as its context is fetched by rdflib, from wherever it is."""

    def parse(self, *_: Any, **__: Any) -> None:
        """Refuse it, so that schema-salad says that it cannot read this schema.

        :raises rdflib.exceptions.ParserError: always.
        """
        raise rdflib.exceptions.ParserError("JSON-LD is not read: give RDF/XML or Turtle.")


for _name in ("json-ld", "application/ld+json"):
    rdflib.plugin.register(_name, rdflib.parser.Parser, __name__, NoJsonLd.__name__)

#: Folder of a run with what it fetched.
FETCHED = "fetched"


class Context(RuntimeContext):
    """cwltool's settings of a run, with its gate."""

    def __init__(self, options: Mapping[str, Any], gate: Gate) -> None:
        """Make them.

        :param options: cwltool's, by name.
        """
        super().__init__(dict(options))
        self.gate = gate
        # cwltool only calls them.
        self.make_fs_access = functools.partial(GatedFsAccess, gate)  # type: ignore[assignment]
        self.path_mapper = functools.partial(Mapper, gate)  # type: ignore[assignment]


class GatedFsAccess(StdFsAccess):
    """The files and folders that a run may read."""

    def __init__(self, gate: Gate, basedir: str) -> None:
        """Note the folder to which relative paths refer."""
        super().__init__(basedir)
        self.gate = gate

    def checked(self, name: str) -> str:
        """Return the real path of what may be read; what is elsewhere is fetched.

        :raises Refused: it may not.
        """
        of = f"File '{os.path.basename(name)}'"
        return fetched_file(name, self.gate, of) if is_remote(name) else self.gate.read(self._abs(name), of)

    def open(self, fn: str, mode: str) -> IO[Any]:
        """Open a file to be read."""
        if set(mode) - set("rbt"):
            raise Refused(f"{fn} may not be written.")
        stream = open_regular(self.checked(fn), fn)
        if "b" in mode:
            return stream
        with stream:
            return os.fdopen(os.dup(stream.fileno()), "r", encoding="utf-8")

    def exists(self, fn: str) -> bool:
        """Tell whether something is there."""
        if is_remote(fn):
            return fetching.url_exists(fn, self.gate.places.hosts, f"File '{os.path.basename(fn)}'")
        return bool(os.path.exists(self.checked(fn)))

    def glob(self, pattern: str) -> list[str]:
        """Return the URIs of what a pattern matches, which may also be the name itself of what is there."""
        found: list[str] = super().glob(pattern)
        return found or super().glob(glob.escape(pattern))

    def size(self, fn: str) -> int:
        """Return the size in bytes."""
        return os.stat(self.checked(fn)).st_size

    def listdir(self, fn: str) -> list[str]:
        """Return the URIs of what is in a folder."""
        self.checked(fn)
        found: list[str] = super().listdir(fn)
        return found


class OutputAccess(GatedFsAccess):
    """What a tool left in its output folder, and the inputs that it passes on."""

    def __init__(self, gate: Gate, job: Any, basedir: str) -> None:
        """Note the tool's job, and its output folder."""
        super().__init__(gate, basedir)
        self._job = job

    def checked(self, name: str) -> str:
        """Return the real path of an output.

        :raises Refused: it leads out of the output folder and is no input.
        """
        path = self._abs(name)
        return check_path(path, self._roots, f"Output '{os.path.basename(path)}'")

    def isfile(self, fn: str) -> bool:
        """Tell files from folders; whoever opens it finds out what is neither."""
        path = self._abs(fn)
        return os.path.exists(path) and not os.path.isdir(path)

    @functools.cached_property
    def _roots(self) -> list[str]:
        return [os.path.realpath(self.basedir), *inputs_of(self._job)]


class Mapper(PathMapper):
    """Gives each file of a job a place where its tool sees it, by the real path."""

    def __init__(
        self, gate: Gate, referenced_files: Any, basedir: str, stagedir: str, separateDirs: bool = True
    ) -> None:
        """Make the places."""
        self._gate = gate
        super().__init__(referenced_files, basedir, stagedir, separateDirs)

    def visit(self, obj: Any, stagedir: str, basedir: str, copy: bool = False, staged: bool = False) -> None:
        """Make the place of a file or folder.

        :raises Refused: it may not be read, or its name would lead elsewhere.
        """
        location = obj["location"]
        of = f"{obj['class']} '{obj['basename']}'"
        if not (obj["basename"] == "." and obj.get("dirname")):
            check_name(obj["basename"], of)
        if ".." in str(obj.get("dirname") or "").split("/"):
            check_relative(obj["dirname"], of)
        if location in self._pathmap:
            return
        if is_remote(location) and obj["class"] == "Directory":
            raise Refused(f"{of}: {location} cannot be fetched: a folder has no address of its own in HTTP.")
        if is_remote(location):
            target = os.path.join(obj.get("dirname") or stagedir, obj["basename"])
            file = fetched_file(location, self._gate, of)
            self._pathmap[location] = MapperEnt(file, target, "WritableFile" if copy else "File", staged)
            self.visitlisting(obj.get("secondaryFiles", []), stagedir, basedir, copy=copy, staged=staged)
            return
        real = None
        if not location.startswith("_:"):
            real = self._gate.read(StdFsAccess(basedir)._abs(location), of)
            if obj["class"] == "Directory" and os.path.isdir(real):
                self._gate.read_tree(real, of)
        super().visit(obj, stagedir, basedir, copy, staged)
        if real is not None:
            # What a link leads to later makes no difference any more.
            self._pathmap[location] = self._pathmap[location]._replace(resolved=real)


class Destination(Mapper):
    """Gives each output of a run its place in the folder of the outputs, where nothing leads elsewhere."""

    def __init__(
        self, gate: Gate, referenced_files: Any, basedir: str, stagedir: str, separateDirs: bool = True
    ) -> None:
        """Make the places; of a file that is given twice, also those of the secondary files that only one has."""
        super().__init__(gate, referenced_files, basedir, stagedir, separateDirs)
        for file in referenced_files:
            self.visitlisting(file.get("secondaryFiles", []), stagedir, basedir, staged=True)

    def visit(self, obj: Any, stagedir: str, basedir: str, copy: bool = False, staged: bool = False) -> None:
        """Make the place of an output.

        :raises Refused: a link is in its place, or it would be called like settings that programs read.
        """
        super().visit(obj, stagedir, basedir, copy, staged)
        target = self._pathmap[obj["location"]].target
        if self._gate.write(target, f"Output '{obj['basename']}'") != os.path.normpath(target):
            raise Refused(f"Output '{obj['basename']}': {target} is a link or in one.")


def make_fetcher(gate: Gate, documents: bool, texts: dict[str, str] | None = None) -> type[DefaultFetcher]:
    """Return the class that reads documents and jobs, and what they include.

    :param documents: whether it is a document, which may have more hosts.
    :param texts: notes what was read: URI → SHA-256.
    """
    hosts = (*gate.places.hosts, *(gate.places.document_hosts if documents else ()))
    of = "Document" if documents else "Job"

    class GateFetcher(DefaultFetcher):
        def fetch_text(self, url: str, content_types: list[str] | None = None) -> str:
            text = self._fetched(url, content_types)
            if not documents:
                with suppress(yaml.YAMLError):  # what is included may be any text
                    check_size(text, f"{of} {url}")
            if texts is not None:
                texts[url] = hashlib.sha256(text.encode()).hexdigest()
            return text

        def _fetched(self, url: str, content_types: list[str] | None) -> str:
            known = self.cache.get(url)
            if isinstance(known, str):
                return known
            if is_remote(url):
                headers = {"Accept": ", ".join([*content_types, "*/*;q=0.8"])} if content_types else None
                try:
                    return fetching.fetch_text(url, hosts, of, headers)
                except requests.RequestException as error:
                    raise ValidationException(f"Error fetching {url}: {error}") from error
            if urlsplit(url).scheme != "file":
                raise ValidationException(f"Unsupported scheme in url: {url}")
            try:
                with gate.open(unquote(urlsplit(url).path), of) as stream:
                    content = stream.read(fetching.TEXT[0] + 1)
            except OSError as error:
                raise ValidationException(f"Error reading {url}: {error}") from error
            if len(content) > fetching.TEXT[0]:
                raise Refused(f"{of}: {url} has more than {fetching.TEXT[0] // 2**20} MiB.")
            # As a file that is opened as text: line ends are made one.
            return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")

        def check_exists(self, url: str) -> bool:
            if url in self.cache or urlsplit(url).scheme == "mailto":
                return True
            # Of what a document links to, all that matters is fetched, and says then that it is not there. The rest are
            # names, such as the terms of an ontology.
            if is_remote(url):
                return documents or fetching.url_exists(url, hosts, of)
            return os.path.exists(gate.read(unquote(urlsplit(url).path), of))

    return GateFetcher


def fetched_file(url: str, gate: Gate, of: str) -> str:
    """Return the path of a file in the run's folder with what is at a URL; it is fetched once for a run.

    :raises Refused: it may not be fetched, or could not be.
    """
    if gate.folder is None:
        raise Refused(f"{of}: {url} cannot be fetched here.")
    file = Path(os.path.realpath(gate.folder)) / FETCHED / hashlib.sha256(url.encode()).hexdigest()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.{os.getpid()}.new")
        try:
            with new.open("wb") as stream:
                fetching.fetch_into(url, gate.places.hosts, of, stream)
            os.replace(new, file)
        except requests.RequestException as error:
            raise Refused(f"{of}: {url} could not be fetched: {error}") from error
        finally:
            new.unlink(missing_ok=True)
    return str(file)


def checked_callback(job: Any, gate: Gate, callback: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
    """Return what cwltool calls when a job has ended: it looks at the outputs first.

    :param callback: takes outputs and status.
    :raises Refused: when it is called, if the outputs are not the job's to give.
    """

    def ended(outputs: Any, status: str) -> None:
        if status == "success":
            if isinstance(job, JobBase):
                check_outputs(outputs, gate, job.outdir, inputs_of(job))
            else:
                check_values(outputs, gate)
        callback(outputs, status)

    return ended


def check_streams(job: Any) -> None:
    """Refuse a tool whose streams would go elsewhere than into its output folder.

    :raises Refused: names the stream.
    """
    staged = [
        os.path.relpath(os.path.join(entry.get("dirname") or job.builder.outdir, entry["basename"]), job.builder.outdir)
        for entry in job.generatefiles["listing"]
        if entry.get("basename")
    ]
    for stream in ("stdout", "stderr"):
        name = getattr(job, stream)
        if not name:
            continue
        check_relative(name, stream)
        if is_within(os.path.normpath(name), staged):
            raise Refused(f"{stream}: '{name}' is also what InitialWorkDirRequirement puts there.")


def inputs_of(job: Any) -> list[str]:
    """Return the real paths of the files and folders that a tool got, and of the folders that were made for it."""
    found = {folder for folder in (job.stagedir, job.tmpdir) if folder}
    for mapper in (job.pathmapper, getattr(job, "generatemapper", None)):
        for entry in mapper or ():
            if entry.type in ("File", "Directory", "WritableFile", "WritableDirectory") and os.path.isabs(
                entry.resolved
            ):
                found.add(entry.resolved)
    return [os.path.realpath(path) for path in found]
