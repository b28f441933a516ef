"""Compare locked Python requirements with what the package index says."""

from __future__ import annotations

import re


def lock_hashes(text: str) -> dict[str, set[str]]:
    """Read a requirements file with hashes.

    :param text: the file, in the form that ``uv pip compile --generate-hashes`` writes.
    :returns: hashes by requirement (``name==version`` with its marker, if it has one).

    Source: https://pip.pypa.io/en/stable/topics/secure-installs/#hash-checking-mode
    """
    hashes: dict[str, set[str]] = {}
    requirement = ""
    for line in text.splitlines():
        if match := re.match(r"[A-Za-z0-9][^\\#]*==[^\\#]*", line):
            requirement = match[0].strip()
            hashes[requirement] = set()
        if requirement:
            hashes[requirement].update(re.findall(r"--hash=(\w+:[0-9a-f]+)", line))
    return hashes


def lock_requirements(text: str) -> str:
    """Return the requirements of a locked file without their hashes, one per line."""
    return "\n".join(lock_hashes(text))


def lock_differences(text: str, index: str) -> list[str]:
    """Find requirements whose hashes the index does not know.

    :param text: the locked file.
    :param index: the same requirements with the hashes that the index has now.
    :returns: the requirements, or those that have no hash at all.
    """
    known = lock_hashes(index)
    return [name for name, hashes in lock_hashes(text).items() if not hashes or not hashes <= known.get(name, set())]


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"lock_requirements": lock_requirements, "lock_differences": lock_differences}
