"""How much the CWL API takes, in bytes."""

from __future__ import annotations

#: A document with its attachments, or a job.
LARGEST_UPLOAD = 64 * 2**20
#: A job with a token: before anybody is known it is smaller.
LARGEST_JOB = 2**20
