"""Stop a run: end what it runs on whichever worker, then remove its data and its rows.

``coordinator`` decides and keeps the rows (in the process of the CWL API or of the command), ``celery_command`` answers
in each Celery worker's main process, which takes no slot, and ``host_agent`` does the work, in a process of its own.
"""

from __future__ import annotations

from .coordinator import NotStopped, stop_run

__all__ = ["NotStopped", "stop_run"]
