"""What Airflow is asked to run for somebody with a shell."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: How much of a document's name its DAG has, in characters.
LONGEST_NAME = 60


@dataclass(frozen=True)
class Request:
    """One run of a document."""

    dag_id: str
    run_id: str
    #: Path or URL, perhaps with ``#name``.
    document: str
    #: The job, or path or URL of its file.
    job: Any


def name_dag(user: str, document: str, content: str) -> str:
    """Return the name of the DAG of a document: of who runs it, and another one for another content.

    :param document: its path or URL, perhaps with ``#name``.
    :param content: what tells it from others.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(document.rstrip("/")).name.replace(".cwl", "")).strip("-")
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    return f"{name[:LONGEST_NAME] or 'document'}.{key_of(user)}.{digest}"


def key_of(user: str) -> str:
    """Return the name of a user as names of DAGs and runs may have it: an account may be ``ann@lab``."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", user)
