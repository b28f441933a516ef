"""Files that were read are kept while they are the same, and no more than there is room for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cwl_airflow.dags import reported
from cwl_airflow.dags.reported import Parsed, Report


class Reader:
    """Reads files, and counts how often."""

    def __init__(self, number: int = 9, size: int = 99) -> None:
        """Keep so many."""
        self.count = 0
        self._kept = Parsed(number, size)

    def _parse(self, text: bytes) -> bytes:
        self.count += 1
        return text

    def read(self, file: Path, most: int = 99) -> bytes:
        """Return what is in a file."""
        with file.open("rb") as stream:
            found: bytes = self._kept.read(stream, most, self._parse)
        return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file."""
    made = tmp_path / "a"
    made.write_text("one", encoding="utf-8")
    return made


def test_a_file_is_read_again_when_it_has_changed(file: Path) -> None:
    reader = Reader()
    assert [reader.read(file), reader.read(file), reader.count] == [b"one", b"one", 1]
    file.write_text("two", encoding="utf-8")
    os.utime(file, ns=(1, 1))
    assert reader.read(file) == b"two"
    times = file.stat().st_mtime_ns
    new = file.with_name("new")
    new.write_text("thr", encoding="utf-8")
    os.utime(new, ns=(times, times))
    new.replace(file)
    assert reader.read(file) == b"thr"


@pytest.mark.parametrize(("number", "size"), [(2, 99), (9, 6)])
def test_the_last_ones_are_kept(file: Path, number: int, size: int) -> None:
    reader = Reader(number, size)
    others = [file.with_name(name) for name in "bc"]
    for other in others:
        other.write_text("two", encoding="utf-8")
    for each in (file, others[0], file, others[1], file):
        reader.read(each)
    assert reader.count == 3
    reader.read(others[0])
    assert reader.count == 4


def test_a_file_that_is_larger_than_all_that_is_kept_is_read_each_time(file: Path) -> None:
    reader = Reader(size=2)
    assert [reader.read(file), reader.read(file), reader.count] == [b"one", b"one", 2]


def test_a_file_that_is_too_large_is_not_read(file: Path) -> None:
    with pytest.raises(ValueError, match=r"has 3 bytes; 2 are read at most$"):
        Reader().read(file, most=2)


def test_what_nobody_asks_for_is_not_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    other = file.with_name("b")
    other.write_text("two", encoding="utf-8")
    reader.read(file)
    monkeypatch.setattr(reported, "KEPT_FOR", -1)
    reader.read(other)
    monkeypatch.undo()
    assert [reader.read(file), reader.count] == [b"one", 3]


@pytest.mark.parametrize(
    ("location", "below"),
    [("file:///a b/out/x.txt", "x.txt"), ("file:///a%20b/out/x.txt", "x.txt"), ("file:///a%20b/out/x/y.z", "x/y.z"),
     ("file:///a%20b/out/../x", ""), ("file:///a%20b/out/./x", "x"), ("file:///a%20b/out/x%2e", "x."),
     ("file:///a%20b/out/..", ""), ("file:///a%20b/out/x/../../y", ""), ("file:///a%20b/out//x", "x"),
     ("file:///a%20b/out/", ""), ("file:///a%20b/out", ""), ("x.txt", ""), ("/a b/out/x", "x"), (5, ""), (None, "")],
)  # fmt: skip
def test_files_are_where_their_locations_say(location: object, below: str) -> None:
    assert Report("/a b/out", {}, {}).below({"location": location}) == below
