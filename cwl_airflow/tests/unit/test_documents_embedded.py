"""Documents that are given as compressed text."""

from __future__ import annotations

import base64
import gzip
import tracemalloc
import zlib

import pytest
from cwl_airflow.documents.embedded import LARGEST_TEXT, embedded_text


def _given(packed: bytes) -> str:
    return base64.b64encode(packed).decode()


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_a_compressed_document_is_unpacked(compress: object) -> None:
    text = "cwlVersion: v1.2  # größe 😀\n"
    assert embedded_text(_given(compress(text.encode()))) == text  # type: ignore[operator]
    assert len(embedded_text(_given(compress(b"#" * LARGEST_TEXT))) or "") == LARGEST_TEXT  # type: ignore[operator]


@pytest.mark.parametrize(
    "workflow",
    [
        "",
        "abcd",
        "/a/b.cwl",
        "http://example.org/a",
        "a.cwl",
        "ä",
        _given(b"text"),
        _given(zlib.compress(b"cut")[:-4]),
        f".{_given(zlib.compress(b'a name'))}",
    ],
)
def test_anything_else_is_a_path_or_url(workflow: str) -> None:
    assert embedded_text(workflow) is None


@pytest.mark.full
def test_more_than_a_document_has_is_refused_before_it_takes_memory() -> None:
    small = _given(zlib.compress(bytes(300 * 2**20), 9))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"^The compressed document has more than 16 MiB\.$"):
            embedded_text(small)
        assert tracemalloc.get_traced_memory()[1] < 3 * LARGEST_TEXT
    finally:
        tracemalloc.stop()


def test_a_byte_more_than_a_document_has_is_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        embedded_text(_given(zlib.compress(bytes(LARGEST_TEXT + 1))))


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^The compressed document is not UTF-8\.$"):
        embedded_text(_given(zlib.compress(b"\xff")))
