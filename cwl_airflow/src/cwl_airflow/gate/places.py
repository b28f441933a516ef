"""Which folders a run reads and writes, by real path."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from .refused import Refused

#: What the system, its services and the container engine read as programs, settings or secrets, or what is no file.
SYSTEM = tuple(
    Path(path)
    for path in (
        "/proc", "/sys", "/dev", "/run", "/etc", "/boot",
        "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
        "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/libx32",
        "/usr/local/bin", "/usr/local/sbin", "/usr/local/lib", "/usr/local/etc",
        "/opt/airflow", "/opt/airflow-releases",
        "/var/backups", "/var/cache/debconf", "/var/log", "/var/spool/at", "/var/spool/cron",
        "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/dpkg", "/var/lib/mysql",
        "/var/lib/private", "/var/lib/rabbitmq", "/var/lib/systemd",
    )
)  # fmt: skip
#: What shells, SSH, Docker, git and the clients of clouds and databases read in anybody's folder.
PERSONAL = frozenset(
    {
        ".aws", ".azure", ".bash_history", ".bash_login", ".bash_logout", ".bash_profile", ".bashrc", ".config",
        ".docker", ".env", ".forward", ".git-credentials", ".gnupg", ".kube", ".local", ".my.cnf", ".netrc",
        ".npmrc", ".pam_environment", ".pgpass", ".profile", ".pypirc", ".rhosts", ".shosts", ".ssh", ".vault-token",
        ".zlogin", ".zprofile", ".zshenv", ".zshrc",
    }
)  # fmt: skip
#: What Airflow reads in the folder of the DAGs beside DAG files.
AIRFLOW = frozenset(
    {".airflowignore", ".git", "__pycache__", "airflow.cfg", "airflow_local_settings.py", "webserver_config.py"}
)
#: Folder with documents that came as text, in that of what is kept of documents.
EMBEDDED = "embedded"
#: Where documents are that come as attachments, by DAG, in the folder for intermediate data. No DAG can have this name.
ATTACHMENTS = "@wes"
#: What `cwl-runner` puts into reach: its DAG files among those of the site, documents and inputs among its inputs.
RUNNER = "cwl-runner"
#: Below that and the name of who runs it: documents, and beside it folders of DAGs with those of their runs.
RUNNER_DOCUMENTS = "documents"
#: Held by the tasks that work in the folder of a run.
LOCK = "lock"
#: Folder with those of runs, in one of the site's data that jobs name as ``tmp_folder``. Nothing else is called so.
RUNS = ".cwl-airflow-runs"
#: Bytes of a Python file in which it shows whether it is a DAG file.
HEAD = 2**20

OPEN_IT = "put it into the inputs folder, or open its folder with cwl_airflow_data_paths"


@dataclass(frozen=True)
class DataPath:
    """A folder that a site opens for its runs."""

    path: Path
    writable: bool = False


@dataclass(frozen=True)
class Places:
    """The folders and hosts of a site, as far as runs have to do with them."""

    #: Airflow's own folder. What is in it is not for runs, but for the folders below.
    home: Path
    inputs: Path
    dags: Path
    outputs: Path
    tmp: Path
    #: Documents that came as text.
    embedded: Path
    data: tuple[DataPath, ...] = ()
    #: Hosts that jobs fetch from; these may have private addresses.
    hosts: tuple[str, ...] = ()
    #: Hosts that documents fetch from as well; ``*`` is any with a public address.
    document_hosts: tuple[str, ...] = ("*",)

    @classmethod
    def of(cls, home: Path, folders: Mapping[str, Path], option: Callable[[str], str | None]) -> Places:
        """Read them from a site's settings.

        :param home: Airflow's own folder.
        :param folders: the section ``[cwl]``'s, by name.
        :param option: returns an option of that section, or nothing.
        :raises ValueError: names the option, and what it must be.
        """
        try:
            data = tuple(
                DataPath(Path(each["path"]), each.get("writable") is True)
                for each in json.loads(option("data_paths") or "[]")
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f'[cwl] data_paths is {option("data_paths")}; it must be like [{{"path": "/data", "writable": false}}]'
            ) from error
        document_hosts = option("document_hosts")
        return cls(
            home=home,
            dags=folders["dags_folder"],
            inputs=folders["inputs_folder"],
            outputs=folders["outputs_folder"],
            tmp=folders["tmp_folder"],
            embedded=folders["pickle_folder"] / EMBEDDED,
            data=data,
            hosts=_split_words(option("fetch_hosts")),
            document_hosts=cls.document_hosts if document_hosts is None else _split_words(document_hosts),
        )

    def to_json(self) -> dict[str, Any]:
        """Return them as what JSON can hold."""
        return json.loads(json.dumps(asdict(self), default=str))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Places:
        """Return what `to_json` returned as it was."""
        folders = {name: Path(value[name]) for name in ("home", "inputs", "dags", "outputs", "tmp", "embedded")}
        data = tuple(DataPath(Path(each["path"]), each["writable"]) for each in value["data"])
        return cls(**folders, data=data, hosts=tuple(value["hosts"]), document_hosts=tuple(value["document_hosts"]))

    def gate(self, dag_id: str | None = None, folder: Path | None = None, reads: Collection[str] | None = ()) -> Gate:
        """Return the gate of a run, or of a document of which there is no run yet.

        :param folder: where the run keeps its intermediate data.
        :param reads: ids of other DAGs whose outputs it may read; none means those of all.
        :raises Refused: the DAG is called so that its folders would not be its own.
        """
        if dag_id in (".", ".."):
            raise Refused(f"DAG '{dag_id}': it has no folder of its own. Give it another dag_id.")
        return Gate(self, dag_id, folder, None if reads is None else frozenset(reads))


@dataclass(frozen=True)
class Gate:
    """What one run may read and write."""

    places: Places
    dag_id: str | None = None
    folder: Path | None = None
    #: Ids of other DAGs whose outputs it may read; none means those of all.
    reads: frozenset[str] | None = field(default_factory=frozenset)

    @property
    def is_open(self) -> bool:
        """Whether any path may be read: of who runs something with rights of his own."""
        return any(data.path == Path("/") for data in self.places.data)

    def read(self, path: str | Path, of: str) -> str:
        """Return the real path of a file or folder that may be read, whether it is there or not.

        :param path: absolute, as it was given.
        :param of: what names it, for the message: ``Input 'reads'``.
        :raises Refused: it may not be read, or is neither a file nor a folder.
        """
        real = self._real(path, of)
        if why := self._forbidden(real):
            raise Refused(f"{of}: {path} may not be read, whatever a setting says: it {why}.")
        if not is_within(real, self._readable):
            raise Refused(f"{of}: {path} may not be read: {self._outside(real)}.")
        check_kind(real, f"{of}: {path}")
        return real

    def write(self, path: str | Path, of: str, between_steps: bool = False) -> str:
        """Return the real path of a folder that may be written.

        :param path: absolute, as it was given.
        :param of: what names it, for the message.
        :param between_steps: whether it is for intermediate data, and not for outputs.
        :raises Refused: it may not be written.
        """
        real = self._real(path, of)
        if why := self._forbidden(real):
            raise Refused(f"{of}: {path} may not be written, whatever a setting says: it {why}.")
        own = self.places.tmp if between_steps else self.places.outputs
        if self.dag_id and is_within(real, [_real_folder(own / self.dag_id)]):
            return real
        if is_within(real, [_real_folder(self.places.home), *self._exempt]) or not is_within(real, self._writable):
            raise Refused(
                f"{of}: {path} may not be written: a run writes into folders of its own and into those of "
                "cwl_airflow_data_paths with writable: true. Leave it out to use the site's own folder."
            )
        if ".git" in Path(real).parts:
            raise Refused(
                f"{of}: {path} may not be written: git runs what is there. In the site's own folder of outputs it may."
            )
        if not between_steps and RUNS in Path(real).parts:
            raise Refused(
                f"{of}: {path} may not be written: a run has its intermediate data there. Choose another folder."
            )
        return real

    def check_safe(self, path: str, of: str) -> None:
        """Refuse a folder for intermediate data where others could put a run's state, which may hold code.

        :param path: absolute.
        :param of: what names it, for the message.
        :raises Refused: others than the services' user may write there.
        """
        real = os.path.realpath(path)
        for folder in (real, *map(str, Path(real).parents)):
            with suppress(FileNotFoundError):
                found = os.stat(folder)
                shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
                if shared or found.st_uid not in (0, os.geteuid()):
                    raise Refused(
                        f"{of}: {path} may not be written: others may change what is in {folder}, and a run's state is "
                        "not for them. Leave it out to use the site's own folder."
                    )

    def open(self, path: str | Path, of: str) -> IO[bytes]:
        """Open a file that may be read; what takes its place after the check is not followed.

        :raises Refused: it may not be read, or another file took its place.
        :raises OSError: it cannot be read.
        """
        return open_regular(self.read(path, of), f"{of}: {path}")

    def read_tree(self, real: str, of: str, again: bool = False) -> None:
        """Refuse a folder with a link in it that leads to what may not be read.

        :param real: its real path.
        :param again: also if it was looked at before, as a tool may have changed it.
        :raises Refused: names the link.
        """
        if real in self._seen and not again:
            return
        self._seen.add(real)  # before its links, which may lead back here
        try:
            self._check_entries(real, of)
        except BaseException:
            self._seen.discard(real)
            raise

    def _check_entries(self, real: str, of: str) -> None:
        for entry in entries_below(real):
            if entry.is_symlink():
                leads_to = self.read(entry.path, of)
                if os.path.isdir(leads_to):
                    self.read_tree(leads_to, of)
            elif why := self._forbidden(entry.path):
                raise Refused(f"{of}: {entry.path} may not be read, whatever a setting says: it {why}.")
            elif not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
                raise Refused(f"{of}: {entry.path} is neither a file nor a folder.")

    @cached_property
    def _seen(self) -> set[str]:
        return set()

    @cached_property
    def _readable(self) -> list[str]:
        places = self.places
        roots = [places.inputs, places.dags, places.embedded, *(data.path for data in places.data)]
        if self.reads is None:
            roots.append(places.outputs)
        roots += [places.outputs / dag_id for dag_id in {self.dag_id, *(self.reads or ())} - {None, "", ".", ".."}]
        if self.dag_id:
            roots.append(places.tmp / ATTACHMENTS / self.dag_id)
        return [_real_folder(each) for each in [*roots, self.folder] if each]

    @cached_property
    def _writable(self) -> list[str]:
        return [_real_folder(data.path) for data in self.places.data if data.writable]

    @cached_property
    def _exempt(self) -> list[str]:
        places = self.places
        own = [places.inputs, places.dags, places.embedded, places.outputs, places.tmp]
        return [_real_folder(each) for each in own]

    def _real(self, path: str | Path, of: str) -> str:
        text = os.fspath(path)
        if "\0" in text or not os.path.isabs(text):
            raise Refused(f"{of}: {text!r} is no absolute path.")
        return os.path.realpath(text)

    def _forbidden(self, real: str) -> str:
        """Say why nobody may have a real path; nothing if somebody may."""
        if is_within(real, _SYSTEM) or real == "/":
            return "is where the system has programs, settings or secrets"
        home = _real_folder(self.places.home)
        if is_within(real, [home]) and not is_within(real, self._exempt):
            return "belongs to Airflow itself"
        if is_within(real, [_real_folder(self.places.dags)]):
            if taken := set(Path(real).parts) & (PERSONAL | AIRFLOW):
                return f"is or is in {min(taken)}, which programs read"
            return "is a program that Airflow runs" if is_dag_file(real) else ""
        # Not in what is there for runs alone: a folder that is an output may have a .git in it.
        if not is_within(real, self._exempt) and (taken := set(Path(real).parts) & PERSONAL):
            return f"is or is in {min(taken)}, which programs read as settings or secrets"
        return ""

    def _outside(self, real: str) -> str:
        outputs, tmp = _real_folder(self.places.outputs), _real_folder(self.places.tmp)
        if is_within(real, [outputs]) and real != outputs:
            other = real[len(outputs) + 1 :].partition("/")[0]
            return f"it is an output of DAG '{other}', which whoever started this run may not read"
        if is_within(real, [tmp]):
            return "it is intermediate data of another run"
        return f"it is outside of what runs read; {OPEN_IT}"


def _split_words(text: str | None) -> tuple[str, ...]:
    return tuple((text or "").replace(",", " ").lower().split())


def _real_folder(folder: Path) -> str:
    return os.path.realpath(folder)


def is_within(real: str, roots: Iterable[str]) -> bool:
    """Tell whether a real path is one of some folders or in one of them.

    :param roots: real paths as well.
    """
    return any(real == root or real.startswith(f"{root.rstrip('/')}/") for root in roots)


#: By their real paths: ``/bin`` is a link to ``/usr/bin``.
_SYSTEM = sorted({os.path.realpath(path) for path in SYSTEM} | {str(path) for path in SYSTEM})


def entries_below(folder: str) -> Iterator[os.DirEntry[str]]:
    """Find all that is in a folder and in those in it; links are not followed."""
    waiting = [folder] if os.path.isdir(folder) else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def check_kind(real: str, of: str) -> None:
    """Refuse what is neither a file nor a folder: a task would wait at it for ever.

    :raises Refused: it is a device, socket or FIFO.
    """
    try:
        mode = os.lstat(real).st_mode
    except OSError:
        return  # whoever opens it says what is wrong
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise Refused(f"{of} is neither a file nor a folder.")


def open_regular(real: str, of: str) -> IO[bytes]:
    """Open a file by its real path, and nothing that took its place or its folder's.

    :raises Refused: it is no regular file, or another one than it was.
    :raises OSError: it cannot be read.
    """
    number = _open_real(real, of, os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise Refused(f"{of} is no file, or was replaced while it was opened.")
    os.set_blocking(number, True)
    return os.fdopen(number, "rb")


def open_folder(real: str, of: str) -> int:
    """Open a folder by its real path, and nothing that took its place, and return its descriptor.

    :raises Refused: it is another one than it was.
    :raises OSError: it cannot be read, or is no folder.
    """
    return _open_real(real, of, os.O_DIRECTORY)


def _open_real(real: str, of: str, flags: int) -> int:
    try:
        number = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags)
    except OSError as error:
        if os.path.islink(real):
            raise Refused(f"{of} was replaced by a link while it was opened.") from error
        raise
    if os.readlink(f"/proc/self/fd/{number}") != real:
        os.close(number)
        raise Refused(f"{of} is no file, or was replaced while it was opened.")
    return number


def is_dag_file(real: str) -> bool:
    """Tell whether Airflow would run a file of its folder of DAGs, by what Airflow itself goes by: words in it."""
    try:
        if os.path.isfile(real) and zipfile.is_zipfile(real):
            with zipfile.ZipFile(real) as archive:
                return any(name.endswith((".py", ".pyc")) for name in archive.namelist())
        if real.endswith(".py"):
            with open_regular(real, real) as stream:
                head = stream.read(HEAD).lower()
            return b"airflow" in head and b"dag" in head
    except zipfile.BadZipFile:
        return False
    except FileNotFoundError:
        return False
    except (OSError, Refused):
        return True
    return real.endswith(".pyc")
