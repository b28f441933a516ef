"""Stop a run: end what it runs on whichever worker, then remove its data and its rows.

``runs`` decides and keeps the rows (in the process of the CWL API or of the command), ``worker`` answers it in each
Celery worker's main process, which takes no slot, and ``host`` does the work there, in a process of its own.
"""

from __future__ import annotations

from .runs import NotStopped, stop_run

__all__ = ["NotStopped", "stop_run"]
