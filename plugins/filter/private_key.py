"""A new private key of an authority."""

from __future__ import annotations

import base64


def private_key(_: object) -> str:
    """Make a private key (elliptic curve P-384) and return it as PKCS #8 in PEM, in base64: one line."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return base64.b64encode(pem).decode()


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"private_key": private_key}
