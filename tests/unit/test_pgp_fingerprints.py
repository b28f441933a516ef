"""Fingerprints of OpenPGP keys."""

from __future__ import annotations

import pytest
from pgp_fingerprints import FilterModule, pgp_fingerprints

# RFC 9580, appendix A.1, with its fingerprint.
KEY = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

xjMEU/NfCxYJKwYBBAHaRw8BAQdAPwmJlL3ZFu1AUxl5NOSofIBzOhKA1i+AEJku
Q+47JAY=
-----END PGP PUBLIC KEY BLOCK-----
"""
FINGERPRINT = "C959BDBAFA32A2F89A153B678CFDE12197965A9A"


def test_fingerprint_is_that_of_the_standard() -> None:
    assert pgp_fingerprints(KEY) == [FINGERPRINT]


def test_headers_checksum_and_line_ends_do_not_matter() -> None:
    text = KEY.replace("BLOCK-----\n\n", "BLOCK-----\nVersion: 1\nComment: a: b\n\n", 1).replace(
        "JAY=\n", "JAY=\n=AAAA\n"
    )
    assert pgp_fingerprints(text.replace("\n", "\r\n")) == [FINGERPRINT]


def test_every_key_counts() -> None:
    assert pgp_fingerprints(f"{KEY}\n{KEY}") == [FINGERPRINT, FINGERPRINT]


@pytest.mark.parametrize("text", ["", "<html>", KEY.replace("xjME", "xjM"), KEY.replace("Q+47JAY=\n", ""), "\x99\x01"])
def test_what_is_no_key_has_no_fingerprint(text: str) -> None:
    assert pgp_fingerprints(text) == []


def test_filter_has_its_name() -> None:
    assert set(FilterModule().filters()) == {"pgp_fingerprints"}
