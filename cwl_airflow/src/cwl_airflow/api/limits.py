"""How much the CWL API takes, in bytes."""

from __future__ import annotations

#: A document with its attachments, or a job.
LARGEST_UPLOAD = 64 * 2**20
#: The bodies of all clients together, on their way or worked on.
LARGEST_WAITING = 4 * LARGEST_UPLOAD
#: A job, which Airflow's scheduler and each task of its run read again and again; with a token, its whole request.
LARGEST_JOB = 2**20
#: A field of a form that is no file.
LARGEST_FIELD = 500_000
