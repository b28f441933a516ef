#!/usr/bin/python
"""Ansible module: put a site's files into one encrypted file, and take them out of it again."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
---
module: backup_file
short_description: Put a site's files into one encrypted file, and take them out of it again
description:
  - The file is a tar archive that is encrypted with age (https://age-encryption.org). Its first member,
    C(manifest.json), has what is known of the backup, and size and SHA-256 of each file.
options:
  path:
    description: The encrypted file.
    type: path
    required: true
  state:
    description: Whether to make the file, to read what is known of it, or to take out all that is in it.
    choices: [made, read, taken_out]
    required: true
    type: str
  sources:
    description: What goes into the file, by the name that it gets there. Of a folder that is all files below.
    type: dict
    default: {}
  about:
    description: What is known of the backup.
    type: dict
    default: {}
  folder:
    description: Where to put what is taken out. The folder is made, and must not be there.
    type: path
  key:
    description: The age identity with which the file is encrypted and read (C(AGE-SECRET-KEY-1…)).
    type: str
    required: true
  recipients:
    description: Others who can read the file (C(age1…)).
    type: list
    elements: str
    default: []
requirements: [pyrage]
author: [cwl-airflow-production contributors]
"""

EXAMPLES = """
- backup_file:
    path: backups/mylab/2026-11-28.age
    state: made
    key: "{{ backup_key }}"
    sources: {credentials: credentials/mylab}
"""

RETURN = """
path:
  description: The encrypted file.
  type: str
  returned: always
manifest:
  description: What is known of the backup, under C(files) size and SHA-256 of each file.
  type: dict
  returned: always
"""

#: Of what this module writes, and the newest that it reads.
FORMAT = 1
MANIFEST = "manifest.json"
#: A manifest is not larger, in bytes.
LARGEST_MANIFEST = 2**26

Manifest = dict[str, Any]


class BackupError(Exception):
    """The file cannot be made or read; the message says why, and what to do."""


def find_files(sources: dict[str, str]) -> dict[str, Path]:
    """Return the files that go into a backup by their names there.

    :param sources: files and folders by the names that they get.
    :raises BackupError: one is not there.
    """
    found: dict[str, Path] = {}
    for name, source in sources.items():
        path = Path(source)
        if path.is_dir():
            below = sorted(each for each in path.rglob("*") if each.is_file() and not each.is_symlink())
            found |= {f"{name}/{each.relative_to(path)}": each for each in below}
        elif path.is_file():
            found[name] = path
        else:
            raise BackupError(f"{source} is not there: it was to be {name} of the backup.")
    return found


def digest(stream: IO[bytes]) -> str:
    """Return the SHA-256 of what a stream has, in hexadecimal."""
    made = hashlib.sha256()
    while chunk := stream.read(2**20):
        made.update(chunk)
    return made.hexdigest()


def describe(files: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """Return size in bytes, SHA-256 and mode of each file."""
    described = {}
    for name, path in files.items():
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            described[name] = {"size": status.st_size, "sha256": digest(stream), "mode": status.st_mode & 0o777}
    return described


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread beside what is done here. Its error is raised, as the other one follows from it.

    A `BackupError` here goes before it: then nobody takes what the thread gives.
    """
    errors: list[BaseException] = []

    def do() -> None:
        try:
            work()
        except BrokenPipeError:  # nobody takes what it gives any more, and says why
            pass
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    try:
        yield
    except BackupError:
        raise
    except Exception as error:
        thread.join()
        raise (errors or [error])[0] from None
    finally:
        thread.join()
    if errors:
        raise errors[0]


def make_backup(path: Path, sources: dict[str, str], about: Manifest, recipients: list[Any]) -> Manifest:
    """Write an encrypted file, under its name only when it is complete.

    :param sources: files and folders by the names that they get.
    :param about: what the manifest has beside the files.
    :param recipients: pyrage's, who can read it.
    :raises BackupError: a file is not there, or changed meanwhile.
    """
    import pyrage

    files = find_files(sources)
    manifest = {**about, "format": FORMAT, "files": describe(files)}
    source, sink = os.pipe()
    unfinished = path.with_name(f".{path.name}.unfinished")

    def write() -> None:
        with os.fdopen(sink, "wb") as stream, tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            text = json.dumps(manifest, indent=1).encode()
            member = tarfile.TarInfo(MANIFEST)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
            for name, file in files.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = manifest["files"][name]["size"], manifest["files"][name]["mode"]
                with file.open("rb") as content:
                    tar.addfile(member, content)
                    if content.read(1):
                        raise BackupError(f"{file} grew while it was read: make the backup again.")

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with (
            beside(write),
            os.fdopen(source, "rb") as stream,
            os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target,
        ):
            pyrage.encrypt_io(stream, target, recipients)
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        raise BackupError(f"{path} could not be made: {error}.") from error
    else:
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return manifest


@contextmanager
def opened_backup(path: Path, identity: Any) -> Iterator[tuple[Manifest, tarfile.TarFile]]:
    """Open an encrypted file, and yield its manifest and the archive, at the member after it.

    :param identity: pyrage's.
    :raises BackupError: it is none, another key is needed, it is cut off, or this release is too old for it.
    """
    import pyrage

    source, sink = os.pipe()

    def decrypt() -> None:
        with path.open("rb") as encrypted, os.fdopen(sink, "wb") as stream:
            pyrage.decrypt_io(encrypted, stream, [identity])

    try:
        with beside(decrypt), os.fdopen(source, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            yield read_manifest(path, tar), tar
            while stream.read(2**20):  # what age checks at the end of the file counts as well
                pass
    except pyrage.DecryptError as error:
        raise BackupError(
            f"{path} cannot be read with this key ({error}): take the key of the site that made it."
        ) from error
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BackupError(f"{path} is no backup, or not all of it: {error}.") from error


def read_manifest(path: Path, tar: tarfile.TarFile) -> Manifest:
    """Return the manifest of an archive, which is its first member.

    :raises BackupError: there is none, or this release is too old for it.
    """
    member = tar.next()
    content = tar.extractfile(member) if member and member.name == MANIFEST else None
    if content is None or not member or member.size > LARGEST_MANIFEST:
        raise BackupError(f"{path} is no backup: it has no manifest.")
    manifest: Manifest = json.load(content)
    if manifest.get("format", 0) > FORMAT:
        raise BackupError(
            f"{path} has the format {manifest['format']}, and this release reads up to {FORMAT}: restore it with the "
            "release that made it, or a newer one."
        )
    return manifest


def take_out(path: Path, folder: Path, identity: Any) -> Manifest:
    """Take all files out of an encrypted one; nothing is left if one of them is not what the manifest says.

    :param folder: where they are put; it must not be there.
    :param identity: pyrage's.
    :raises BackupError: the file cannot be read, or a file in it is not as it was.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError as error:
        raise BackupError(f"{folder} is there already: remove it.") from error
    try:
        with opened_backup(path, identity) as (manifest, tar):
            missing = dict(manifest["files"])
            for member in iter(tar.next, None):
                known = missing.pop(member.name, None)
                if known is None or not member.isfile():
                    raise BackupError(f"{path} has {member.name}, which its manifest does not.")
                tar.extract(member, folder, filter="data")
                with (folder / member.name).open("rb") as stream:
                    if digest(stream) != known["sha256"]:
                        raise BackupError(f"{member.name} of {path} is not what it was: take another backup.")
            if missing:
                raise BackupError(f"{path} lacks {', '.join(sorted(missing)[:3])}: take another backup.")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return manifest


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["made", "read", "taken_out"], "required": True},
            "sources": {"type": "dict", "default": {}},
            "about": {"type": "dict", "default": {}},
            "folder": {"type": "path"},
            "key": {"type": "str", "required": True, "no_log": True},
            "recipients": {"type": "list", "elements": "str", "default": []},
        },
        required_if=[("state", "taken_out", ["folder"])],
    )
    p = module.params
    try:
        import pyrage

        identity = pyrage.x25519.Identity.from_str(p["key"].strip())
        others = [pyrage.x25519.Recipient.from_str(each) for each in p["recipients"]]
    except ImportError:
        module.fail_json(msg="The library pyrage is missing on the controller: run make tools.")
        return
    except (pyrage.IdentityError, pyrage.RecipientError) as error:
        module.fail_json(msg=f"A key of the backup is none of age's: {error}.")
        return
    path = Path(p["path"])
    try:
        if p["state"] == "made":
            manifest = make_backup(path, p["sources"], p["about"], [identity.to_public(), *others])
        elif p["state"] == "taken_out":
            manifest = take_out(path, Path(p["folder"]), identity)
        else:
            with opened_backup(path, identity) as (manifest, _):
                pass
    except BackupError as error:
        module.fail_json(msg=str(error))
        return
    module.exit_json(changed=p["state"] != "read", path=str(path), manifest=manifest)


if __name__ == "__main__":
    main()
