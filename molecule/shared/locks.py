"""Another lock of Airflow's requirements, as a new release has it."""

from __future__ import annotations

import re
import shutil

from converging import PROJECT

#: In place of what the lock has of it.
OTHER = """humanize==4.15.0 \\
    --hash=sha256:1dd098483eb1c7ee8e32eb2e99ad1910baefa4b75c3aff3a82f4d78688993b10 \\
    --hash=sha256:b1186eb9f5a9749cd9cb8565aee77919dd7c8d076161cf44d70e59e3301e1769
"""


def other_lock(folder):
    """Write a lock with another version of a package, and return its folder."""
    shutil.copytree(PROJECT / "files/airflow", folder / "airflow")
    file = folder / "airflow/requirements.txt"
    other, count = re.subn(r"^humanize==(?:.*\\\n)+.*\n", OTHER, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 1
    file.write_text(other, encoding="utf-8")
    return folder / "airflow"
