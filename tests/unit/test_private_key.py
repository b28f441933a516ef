"""Keys of authorities."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from private_key import private_key


def test_a_key_is_one_line_and_another_one_each_time() -> None:
    first, second = private_key(None), private_key(None)
    assert first != second
    assert "\n" not in first
    key = load_pem_private_key(base64.b64decode(first), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp384r1"
