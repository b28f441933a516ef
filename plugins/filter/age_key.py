"""A new key for backups."""

from __future__ import annotations


def age_key(_: object) -> str:
    """Make an identity of age (``AGE-SECRET-KEY-1…``), which reads what is encrypted for it.

    Source: https://age-encryption.org/v1
    """
    import pyrage

    return str(pyrage.x25519.Identity.generate())


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"age_key": age_key}
