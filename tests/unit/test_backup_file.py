"""What is put into an encrypted file comes out of it as it was, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyrage
import pytest
from backup_file import FORMAT, BackupError, make_backup, opened_backup, take_out

KEY = pyrage.x25519.Identity.generate()


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, str]:
    """Return a file and a folder of a site."""
    folder = tmp_path / "credentials"
    (folder / "deep").mkdir(parents=True)
    (folder / "airflow_admin").write_text("secret\n", encoding="utf-8")
    (folder / "airflow_admin").chmod(0o600)
    (folder / "deep/ä b").write_bytes(b"")
    (folder / "link").symlink_to("/etc/passwd")
    dump = tmp_path / "dump"
    dump.write_bytes(os.urandom(3_000_000))
    return {"credentials": str(folder), "database.sql.gz": str(dump)}


@pytest.fixture
def backup(tmp_path: Path, sources: dict[str, str]) -> Path:
    """Return a backup of them."""
    path = tmp_path / "backups/one.age"
    make_backup(path, sources, {"site": "mylab"}, [KEY.to_public()])
    return path


def test_what_went_in_comes_out(tmp_path: Path, sources: dict[str, str], backup: Path) -> None:
    manifest = take_out(backup, tmp_path / "out", KEY)
    assert manifest["site"] == "mylab"
    assert {*manifest["files"]} == {"credentials/airflow_admin", "credentials/deep/ä b", "database.sql.gz"}
    for name in manifest["files"]:
        original = tmp_path / name.replace("database.sql.gz", "dump")
        assert (tmp_path / "out" / name).read_bytes() == original.read_bytes()
    assert (tmp_path / "out/credentials/airflow_admin").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "out/credentials/link").exists()


def test_nobody_else_reads_it(backup: Path) -> None:
    assert b"secret" not in backup.read_bytes()
    assert backup.stat().st_mode & 0o777 == 0o600
    assert [*backup.parent.iterdir()] == [backup]


def test_it_can_be_read_by_others_who_are_named(tmp_path: Path, sources: dict[str, str]) -> None:
    other = pyrage.x25519.Identity.generate()
    make_backup(tmp_path / "two.age", sources, {}, [KEY.to_public(), other.to_public()])
    with opened_backup(tmp_path / "two.age", other) as (manifest, _):
        assert manifest["format"] == FORMAT


def damaged(backup: Path, what: str) -> Path:
    """Return a file with something wrong."""
    content = backup.read_bytes()
    wrong = backup.with_name("wrong.age")
    wrong.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "end cut": content[:-1],
            "changed": content[:-1000] + bytes([content[-1000] ^ 1]) + content[-999:],
            "text": b"this is no backup",
            "empty": b"",
            "no archive": pyrage.encrypt(b"x" * 2000, [KEY.to_public()]),
            "another key": pyrage.encrypt(b"", [pyrage.x25519.Identity.generate().to_public()]),
        }[what]
    )
    return wrong


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("cut", "wrong.age"),
        ("end cut", "wrong.age"),
        ("changed", "wrong.age"),
        ("text", "wrong.age"),
        ("empty", "wrong.age"),
        ("no archive", "is no backup"),
        ("another key", "cannot be read with this key"),
    ],
)
def test_what_is_damaged_is_refused_and_leaves_nothing(tmp_path: Path, backup: Path, what: str, said: str) -> None:
    wrong = damaged(backup, what)
    with pytest.raises(BackupError, match=said):
        take_out(wrong, tmp_path / "out", KEY)
    assert not (tmp_path / "out").exists()
    with pytest.raises(BackupError, match=said), opened_backup(wrong, KEY):
        pass


def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any) -> Path:
    """Return a backup whose manifest was changed before it was written."""
    path, source = tmp_path / "changed.age", tmp_path / "source"
    source.write_text("a", encoding="utf-8")
    dumps = __import__("json").dumps

    def changed(manifest: Any, **more: Any) -> str:
        change(manifest)
        return str(dumps(manifest, **more))

    monkeypatch.setattr("backup_file.json.dumps", changed)
    make_backup(path, {"a": str(source)}, {}, [KEY.to_public()])
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.update(format=FORMAT + 1), "restore it with the release that made it"),
        (lambda manifest: manifest["files"]["a"].update(sha256="0"), "a of .* is not what it was"),
        (lambda manifest: manifest["files"].update(b={}), "lacks b"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, said: str
) -> None:
    path = archive(tmp_path, monkeypatch, change)
    with pytest.raises(BackupError, match=said):
        take_out(path, tmp_path / "out", KEY)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, backup: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(BackupError, match="is there already"):
        take_out(backup, tmp_path / "out", KEY)
    assert (tmp_path / "out").exists()


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="/nowhere is not there: it was to be dags of the backup"):
        make_backup(tmp_path / "one.age", {"dags": "/nowhere"}, {}, [KEY.to_public()])
    assert not (tmp_path / "one.age").exists()


def test_a_disk_that_is_full_leaves_the_last_backup(tmp_path: Path, backup: Path, sources: dict[str, str]) -> None:
    before = backup.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(BackupError, match="No space left on device"):
        patch.setattr(pyrage, "encrypt_io", fail)
        make_backup(backup, sources, {}, [KEY.to_public()])
    assert backup.read_bytes() == before
    assert [*backup.parent.iterdir()] == [backup]
