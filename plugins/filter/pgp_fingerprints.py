"""Fingerprints of the keys with which package repositories are signed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

PUBLIC_KEY = 6  # packet type ID of a primary key


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Split OpenPGP data into its packets.

    :param data: packets, one after the other.
    :returns: type and body of each.
    :raises ValueError: for data that is cut off, or has a length that keys do not use.

    Source: RFC 9580, section 4.2
    """
    at = 0
    while at < len(data):
        head = data[at]
        at += 1
        if not head & 0x80:
            raise ValueError("no OpenPGP packet")
        if head & 0x40:
            kind, size, width = head & 0x3F, data[at : at + 1], 1
            if not size or 224 <= size[0] < 255:
                raise ValueError("a packet without a length")
            if size[0] == 255:
                length, width = int.from_bytes(data[at + 1 : at + 5], "big"), 5
            elif size[0] >= 192:
                length, width = (size[0] - 192) * 256 + int.from_bytes(data[at + 1 : at + 2], "big") + 192, 2
            else:
                length = size[0]
        else:
            kind, width = head >> 2 & 0x0F, {0: 1, 1: 2, 2: 4}.get(head & 3, 0)
            if not width:
                raise ValueError("a packet without a length")
            length = int.from_bytes(data[at : at + width], "big")
        at += width
        body = data[at : at + length]
        if len(body) < length:
            raise ValueError("a packet is cut off")
        yield kind, body
        at += length


def pgp_fingerprints(armoured: str) -> list[str]:
    """Return the fingerprints of the primary keys (version 4) in ASCII-armoured text, in their order.

    :param armoured: one or more blocks `PGP PUBLIC KEY BLOCK`.
    :returns: 40 hexadecimal digits in capitals for each; none where the text is no key.

    Source: RFC 9580, sections 5.5.4.2 and 6.2
    """
    found = []
    pattern = r"-----BEGIN PGP PUBLIC KEY BLOCK-----\s*\n(.*?)-----END PGP PUBLIC KEY BLOCK-----"
    for block in re.findall(pattern, armoured.replace("\r", ""), re.DOTALL):
        # Headers (`Version: …`) end with an empty line, a checksum begins with `=`.
        lines = [line.strip() for line in block.split("\n") if ": " not in line]
        text = "".join(line for line in lines if not line.startswith("="))
        try:
            for kind, body in packets(base64.b64decode(text, validate=True)):
                if kind == PUBLIC_KEY and body[:1] == b"\x04":
                    digest = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False)
                    found.append(digest.hexdigest().upper())
        except (ValueError, binascii.Error):
            return []
    return found


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"pgp_fingerprints": pgp_fingerprints}
